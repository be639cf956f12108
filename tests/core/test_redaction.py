"""Redaction beyond the vectors: the fast way misses nothing, hostile bodies are linear work, doubt fails closed."""

from __future__ import annotations

import json
import pickle
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core.cleaning import Active, Walk
from logos_shift_openai.core.json_text import Document, write
from logos_shift_openai.core.redaction import Cleaned, Redaction, Unclean, clean
from logos_shift_openai.core.redaction_rules import RULES, finders_of

if TYPE_CHECKING:
    import random

RULES_ONLY = Redaction.build(RULES)
ALL = Redaction.build(RULES, ("password", "metadata.ssn"), (("ticket", r"T-[0-9]+"), ("word", r"\bxq+\b")))
SECRET = "sk-a1B2c3D4e5F6g7H8i9J0k1"


def run(body: bytes, redaction: Redaction = ALL, root: str = "request", limit: int | None = None) -> Cleaned:
    return clean(body, root=root, redaction=redaction, limit=limit)


class EveryText(Walk):
    """Reads every text that looks like JSON, whatever the sieves say of it."""

    def _worth_reading(self, *_: Any) -> bool:
        return True


def slowly(body: bytes, redaction: Redaction = ALL, root: str = "request") -> Cleaned:
    """Clean a body with everything looked for in every text, without any sieve."""
    plan = redaction.plan
    document = Document(body.decode())
    walk = EveryText(Active(plan.finders, tuple(steps for steps, _ in plan.keys), media=True))
    value = walk.body(document.value, root)
    same = value is document.value and not document.altered
    written = body.replace(b"\n", b" ") if same else write(value).encode()
    return Cleaned(written, tuple(walk.media), (), dict(walk.counts))


# --- the fast way misses nothing ---------------------------------------------------------------------------------

SAMPLES = [
    SECRET,
    "ls_a1B2c3D4e5F6g7H8i9J0k1",
    "ghp_" + "a1B2c3D4e5F6g7H8i9J0" * 2,
    "AKIAIOSFODNN7EXAMPLE",
    "AIza" + "a1B2c3D4e5F6g7H8i9J0"[:19] + "a1B2c3D4e5F6g7H8",
    "eyJhbGciOiJIUzI1NiJ9.eyJzdWIiOiIxMjM0In0.abcdefghij",
    "-----BEGIN PRIVATE KEY-----\nMIIE\n-----END PRIVATE KEY-----",
    "Bearer\ta1B2c3D4e5F6g7H8i9J0",
    "https://app:s3cr&t!@db.example/",
    "password=hunter22",
    "api_key:\t'abcdef'",
    'SECRET => "tr0ub4dor&3"',
    '"access-token": "abcdefgh"',
    "bob@example.com",
    "jürgen@exämple.co.uk",
    "+49 171 1234567",
    "+49\u00a0171\u202f1234567",
    "+1/415/555/2671",
    "0049/171/1234567",
    "(415) 555-2671",
    "415\u2011555\u20112671",
    "030/12345678",
    "0171 1234567",
    "4111111111111111",
    "4111 1111\u00a01111 1111",
    "3782-822463-10005",
    "DE89 3704 0044 0532 0130 00",
    "GB29NWBK60161331926819",
    "nl91 abna 0417 1643 00",
    "de89\u00a03704\u00a00044\u00a00532\u00a00130\u00a000",
    "10.0.0.1",
    "2001:db8::8a2e:370:7334",
    "fe80::1",
    "123-45-6789",
    "123\u201345\u20136789",
    "T-123",
    "xqq",
]
AROUND = [
    "",
    " ",
    "\n",
    "\t",
    '"',
    "/",
    "\\",
    ".",
    "é",
    "☀",
    "\u2019",
    "9",
    "x",
    "-",
    "+",
    ",",
    ":",
    "\\n",
    "\ud83d\ude00",
    "{",
    "}",
]
TEXTS = st.lists(st.sampled_from(SAMPLES) | st.sampled_from(AROUND) | st.text(max_size=3), max_size=6).map("".join)
NAMES = st.sampled_from(
    ["a", "password", "Api_Key", "ssn", "metadata", "bob@example.com", "data", "audio", "file_data", "é"]
)
BODIES: st.SearchStrategy[Any] = st.deferred(
    lambda: (
        TEXTS
        | st.sampled_from([None, True, 0, 4111111111111111, -1.5, 1e300])
        | st.lists(BODIES, max_size=2)
        | st.dictionaries(NAMES, BODIES, max_size=2)
        | st.builds(json.dumps, st.dictionaries(NAMES, BODIES, max_size=2))
        | st.builds(
            json.dumps, st.dictionaries(NAMES, BODIES, max_size=2), indent=st.just(1), ensure_ascii=st.just(False)
        )
    )
)


@st.composite
def encoded(draw: st.DrawFn) -> bytes:
    """Draw a body written by an encoder that escapes what it must and whatever else it likes."""
    drawn = draw(BODIES)
    rate = draw(st.sampled_from([0, 0, 4, 25, 100]))
    dice = draw(st.randoms(use_true_random=False))
    text = json.dumps(drawn, ensure_ascii=False, indent=draw(st.sampled_from([None, 1])))
    return _escaped(text, rate, dice).encode("utf-8")


_STRING_PART = re.compile(r"""\\u[0-9a-f]{4}|\\.|.""", re.DOTALL)


def _escaped(text: str, rate: int, dice: random.Random) -> str:
    """Escape letters of the strings in a JSON text at random, and halves of surrogate pairs always."""
    out: list[str] = []
    inside = False
    for part in _STRING_PART.findall(text):
        if part == '"':
            inside = not inside
        elif inside and len(part) == 1 and ("\ud800" <= part <= "\udfff" or dice.randrange(100) < rate):
            escape = json.dumps(part)[1:-1]
            if len(escape) == 1:
                escape = "\\/" if part == "/" and dice.randrange(2) else f"\\u{ord(part):04x}"
            out.append(escape.upper().replace("\\U", "\\u") if dice.randrange(2) else escape)
            continue
        out.append(part)
    return "".join(out)


@settings(max_examples=600, deadline=None)
@given(encoded())
def test_the_fast_way_misses_nothing(body: bytes):
    """Whatever the escapes, a body the sieves let pass is one in which looking everywhere finds nothing."""
    for redaction in (ALL, RULES_ONLY):
        assert run(body, redaction) == slowly(body, redaction)


@pytest.mark.parametrize(
    "body",
    [
        b'{"audio": "{\\"data\\": 4111111111111111}"}',
        b'{"audio": "\\n {\\"data\\": \\"AAAA\\"}"}',
        b'{"audio" : {"data": "AAAA"}}',
        b'{"a": "{\\"Authorization\\": \\"Bearer\\\\ta1B2c3D4e5F6g7H8i9J0\\"}"}',
    ],
)
def test_the_fast_way_misses_nothing_it_once_missed(body: bytes):
    """Bodies in which the two ways once differed."""
    for redaction in (ALL, RULES_ONLY):
        assert run(body, redaction) == slowly(body, redaction)


@pytest.mark.parametrize("sample", SAMPLES)
@pytest.mark.parametrize("before", AROUND)
def test_the_fast_way_misses_no_sample(sample: str, before: str):
    """Each thing to find, behind each letter that could hide it, however the letters beside it are escaped."""
    for after in ("", " ", "\n", "é", '"'):
        for ascii_only in (False, True):
            text = f"{before}{sample}{after}"
            try:
                body = json.dumps([text, json.dumps({"t": text})], ensure_ascii=ascii_only).encode()
            except UnicodeEncodeError:
                continue
            assert run(body, RULES_ONLY) == slowly(body, RULES_ONLY)


@pytest.mark.parametrize("rule", RULES)
@settings(deadline=None)
@given(text=st.text(max_size=40) | TEXTS)
def test_spans_are_in_order_and_apart(rule: str, text: str):
    """No finder gives spans that overlap or are empty."""
    for finder in finders_of(rule):
        done = 0
        for start, end in finder.find(text):
            assert done <= start < end <= len(text)
            done = end


@settings(deadline=None)
@given(encoded())
def test_a_body_without_hits_is_not_touched(body: bytes):
    """Where nothing had to go, the body is the same one, byte for byte, but for its line ends."""
    cleaned = run(body, Redaction())
    if not cleaned.media:
        assert cleaned.body == body.replace(b"\n", b" ")


# --- hostile bodies ----------------------------------------------------------------------------------------------

HOSTILE = [
    "a", "1", " ", "-", "_", ".", "@", ":", "/", "\\", '"', "{", "[", "+", "0", "1 ", "4-", "1.", "a@", "@a", "@a.", "a.", "a-", "sk-", "ls_",
    "eyJ", "eyJ-", "eyJa.", "eyJaaaaaa.eyJ", "SG.", "AKIA", "://", "://a:", "://:@", "-----BEGIN PRIVATE KEY-----", "-----BEGIN ",
    "bearer ", "password", "password=", 'password="', "secret", "secret_", "api_key: ", "ab:", "::", "1:", "12.", "AA00", "aa00 ", "DE89 ", "+4", "00",
    "+1 ", "0171 ", "4111 ", "data:", "data:;base64,", "data:a/b;a=b", ";a=b", "\u00a0", "\u20111", "T-", "xq",
]  # fmt: skip


@pytest.mark.parametrize("piece", HOSTILE)
def test_hostile_text_is_linear_work(piece: str):
    """Text made to make patterns go back and forth is done at once; squared work would take minutes here."""
    body = json.dumps({"a": piece * (60_000 // len(piece)), "b": "x" + piece * 5_000}, ensure_ascii=False).encode()
    slowly(body)
    run(body)


# --- doubt fails closed ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    "body",
    [
        b'{"a": "\xff", "b": "bob@example.com"}',
        b'{"a": "\xed\xa0\x80"}',
        b'{"a": "bob@example.com"',
        b'{"a": "bob@example.com"} x',
        b'"bob@example.com" \x00',
        b'["bob@example.com", 01]',
        b"bob@example.com",
        b'{"a":' * 500 + b'"bob@example.com"' + b"}" * 500,
        b"[" * 100_000 + b'"bob@example.com"' + b"]" * 100_000,
    ],
)
def test_what_cannot_be_looked_at_is_refused(body: bytes):
    """No JSON, no UTF-8, nested too deep: nothing of it may be kept, and the message tells nothing of it."""
    with pytest.raises(Unclean) as error:
        run(body)
    assert "bob" not in str(error.value)
    assert str(error.value).startswith("request: ")


def test_deep_json_in_a_text_is_refused():
    """Depth counts through texts that are JSON themselves, and layers end somewhere."""
    inner = json.dumps("bob@example.com")
    for _ in range(150):
        inner = f"[{inner}]"
    with pytest.raises(Unclean):
        run(json.dumps(_nested(inner, 60)).encode())


def _nested(value: Any, depth: int) -> Any:
    for _ in range(depth):
        value = [value]
    return value


def test_layers_of_json_in_texts():
    """Escapes hidden in JSON in a text in JSON in a text are undone before anybody looks."""
    value: Any = {"to": "bob@example.com", "password": 1}
    for _ in range(3):
        value = {"x": json.dumps(value).replace("@", "\\u0040")}
    cleaned = run(json.dumps(value).encode())
    assert cleaned.redacted == {"email": 1, "key": 1}
    assert b"bob" not in cleaned.body


def test_the_last_of_double_keys_counts():
    """Of double keys only the last is kept, so nothing hides behind it."""
    cleaned = run(b'{"a": "bob@example.com", "a": "fine", "n": 1.50}')
    assert cleaned.body == b'{"a":"fine","n":1.50}'
    assert run(b'{"password": 1, "x": "{\\"password\\": 1, \\"password\\": 2}"}').body == (
        b'{"password":"[redacted:key]","x":"{\\"password\\":\\"[redacted:key]\\"}"}'
    )


def test_numbers_stay_letter_for_letter():
    """A body that is written again keeps its numbers as they were, whatever their length."""
    numbers = b"[1.0E5,-0,0.10,1e999,123456789012345678901234567890.5," + b"9" * 5000 + b"]"
    cleaned = run(b'{"to": "bob@example.com", "n": ' + numbers + b"}")
    assert cleaned.body == b'{"to":"[redacted:email]","n":' + numbers + b"}"


def test_constants_json_does_not_have_become_null():
    """NaN and the infinities are no JSON, and stay in a text where they are only words."""
    assert run(b'{"a": NaN, "b": [-Infinity, Infinity], "c": "NaN, Infinity"}').body == (
        b'{"a":null,"b":[null,null],"c":"NaN, Infinity"}'
    )
    assert run(b'{"c": "NaN, Infinity" }').body == b'{"c": "NaN, Infinity" }'
    assert run(b"NaN").body == b"null"


def test_halves_of_surrogate_pairs_stay_escaped():
    """A half of a pair, which UTF-8 cannot hold, is written as the escape it came as."""
    cleaned = run(b'["\\ud83d", "\\ud83d\\ude00", "bob@example.com \\udc00\xc3\xa9"]')
    assert json.loads(cleaned.body) == ["\ud83d", "\U0001f600", "[redacted:email] \udc00é"]


def test_names_that_become_alike_stay_apart():
    """Two members whose names were redacted keep their values, and none that was there is overwritten."""
    body = {"a@example.com": 1, "b@example.com": 2, "[redacted:email] 2": 3}
    assert json.loads(run(json.dumps(body).encode()).body) == {
        "[redacted:email]": 1,
        "[redacted:email] 3": 2,
        "[redacted:email] 2": 3,
    }


def test_ten_thousand_names_that_become_alike():
    """Many redacted names are told apart without trying every number for each."""
    body = {f"user{number}@example.com": number for number in range(10_000)}
    assert list(json.loads(run(json.dumps(body).encode()).body).values()) == list(range(10_000))


def test_a_bare_text_is_a_body():
    """The message of an error is cleaned as a body that is one JSON string."""
    cleaned = run(json.dumps(f"no such key {SECRET}").encode(), root="error")
    assert cleaned.body == b'"no such key [redacted:secrets]"'


# --- the value ---------------------------------------------------------------------------------------------------


def test_the_form_of_the_environment():
    """Rules and key paths, with spaces or without; off is nothing at all."""
    assert Redaction.parse("secrets, email,key:metadata.ssn,key:password") == Redaction.build(
        ("secrets", "email"), ("metadata.ssn", "password")
    )
    assert Redaction.parse("off") == Redaction()
    assert Redaction.build() == Redaction(("secrets",))


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "''"),
        ("secret", "'secret'"),
        ("off,email", "'off'"),
        ("email,,phone", "''"),
        ("key:", "'key:'"),
        ("key:a..b", "key path 'a..b'"),
        ("pattern:x", "'pattern:x'"),
        ("Email", "'Email'"),
    ],
)
def test_a_wrong_form_says_what_it_takes(text: str, fault: str):
    """The message names the part at fault and what would be right."""
    with pytest.raises(ValueError, match=r"takes off, or a list of secrets, email, .* key:<path>") as error:
        Redaction.parse(text)
    assert str(error.value).startswith(fault)


@pytest.mark.parametrize(
    ("arguments", "named"),
    [
        ({"rules": ["mail"]}, "rule 'mail'"),
        ({"keys": ["a["]}, "key path 'a['"),
        ({"patterns": [("x", "(")]}, "pattern 'x'"),
        ({"patterns": [("x", "a*")]}, "pattern 'x' matches the empty text"),
        ({"patterns": [("email", "a")]}, "pattern name 'email'"),
        ({"patterns": [("key", "a")]}, "pattern name 'key'"),
        ({"patterns": [("a b", "a")]}, "pattern name 'a b'"),
        ({"patterns": [(f"p{number}", "a") for number in range(201)]}, "patterns: 201"),
    ],
)
def test_a_wrong_part_is_named(arguments: dict[str, Any], named: str):
    """A rule, path or pattern that is none is refused when the value is made."""
    with pytest.raises(ValueError) as error:
        Redaction.build(**arguments)
    assert named in str(error.value)


def test_merging():
    """Both redactions' parts, each once, in order."""
    one = Redaction.build(("email",), ("a",), (("t", "T-1"),))
    both = one.merged(Redaction.build(("secrets", "email"), ("b", "a"), (("t", "T-1"), ("u", "U"))))
    assert both == Redaction(("email", "secrets"), ("a", "b"), (("t", "T-1"), ("u", "U")))
    assert hash(both) == hash(Redaction(("email", "secrets"), ("a", "b"), (("t", "T-1"), ("u", "U"))))


def test_a_redaction_can_be_sent_to_another_process():
    """A value is a value: it can be pickled, and works on the other side."""
    copy = pickle.loads(pickle.dumps(ALL))
    assert copy == ALL
    assert run(b'"bob@example.com T-1"', copy).redacted == {"email": 1, "ticket": 1}


def test_what_several_rules_find():
    """Each rule looks at the text as it came; letters two of them found go once, those beside them too."""
    redaction = Redaction.build(("secrets", "email", "card"), (), (("p", "b+"), ("q", "abc")))
    body = json.dumps(
        ["https://app:pass@mail.example", "abc bbb", "AIzaa1B2c3D4e5F6g7H8i9Ja1B2c3D4e5F6g7H84111111111111111"]
    ).encode()
    cleaned = run(body, redaction)
    assert json.loads(cleaned.body) == [
        "https://app:[redacted:secrets][redacted:email]",
        "[redacted:q][redacted:p][redacted:q] [redacted:p]",
        "[redacted:secrets]4111111111111111",
    ]
    assert cleaned.redacted == {"secrets": 2, "email": 1, "p": 2, "q": 2}


@pytest.mark.parametrize(
    ("regex", "text", "left"),
    [
        (r"T-[0-9]+", "T-1", "[redacted:p]"),
        (r"(?i)t-[0-9]+", "T-1", "[redacted:p]"),
        (r"ab{0,1}", "xax", "x[redacted:p]x"),
        (r"abc?", "ab", "[redacted:p]"),
        (r"foo|bar", "bar", "[redacted:p]"),
        (r"a/b", "a/b", "[redacted:p]"),
        (r"é+", "éé", "[redacted:p]"),
        (r"(?=ab)", "ab", "ab"),
        (r"^x", "x", "[redacted:p]"),
    ],
)
def test_own_patterns(regex: str, text: str, left: str):
    """Own patterns are found whether or not their first letters let bodies pass quickly."""
    redaction = Redaction.build((), (), (("p", regex),))
    for body in (json.dumps(text), json.dumps(text, ensure_ascii=False).replace("/", "\\/")):
        assert json.loads(run(body.encode(), redaction).body) == left


def test_a_limit_too_small_is_a_mistake():
    """A limit without room for the markers is refused, as the mistake of the caller it is."""
    with pytest.raises(ValueError, match="limit: 1023") as error:
        run(b"{}", limit=1023)
    assert not isinstance(error.value, Unclean)
