"""Whatever a batch holds: never a 5xx, nothing half-written, a reason for every line that was not taken."""

from __future__ import annotations

import gzip
import json
from random import Random

import pytest
from served import Lines, ids

HEAD = b'{"v":1,"kind":"call","endpoint":"chat.completions","at":1764000000000,"id":"%s"'


def of(name, rest=b',"request":{}'):
    return HEAD % name + rest + b"}\n"


CORPUS = [
    b"\n",
    b"\r\n",
    b"{}\n",
    b"[]\n",
    b"null\n",
    b"1e999\n",
    b'"text"\n',
    b"\xff\xfe\x00\n",
    b"\xef\xbb\xbf" + of(b"bom"),
    of("utf-16".encode("utf-16")),
    b"\0\0\0\n",
    of(b"nul\\u0000id"),
    of(b"nul\\u0000text", b',"dataset":"a\\u0000b","request":{}'),
    of(b"raw\0nul"),
    of(b"lone", b',"dataset":"\\ud800","user_id":"\\udfff","request":"\\ud800"'),
    of(b"latin", b',"why":"\xe9","request":{}'),
    of(b"deep", b',"request":' + b"[" * 900 + b"]" * 900),
    of(b"deeper", b',"request":' + b"[" * 100_000 + b"]" * 100_000),
    of(b"deep-metadata", b',"metadata":' + b'{"a":' * 2_000 + b"1" + b"}" * 2_000),
    of(b"huge", b',"request":' + b"9" * 5_000),
    of(b"huge-at")[:-2] + b',"at":' + b"9" * 400 + b"}\n",
    of(b"huge-share", b',"share":' + b"9" * 400),
    of(b"float", b',"request":{},"duration_ms":1e400'),
    of(b"nan", b',"request":{},"duration_ms":NaN'),
    of(b"inf", b',"request":{"a":Infinity},"response":{"b":-Infinity}'),
    of(b"negative", b',"request":{},"bucket":-1'),
    of(b"bool", b',"at":true'),
    of(b"attempts", b',"request":{},"attempts":[1,null,{"ok":3},{"variant":"candidate"}]'),
    of(b"attempts-object", b',"request":{},"attempts":{"a":1}'),
    of(b"unit", b',"request":{},"unit":{"kind":"nobody","id":7}'),
    of(b"error", b',"request":{},"error":{"status":99999999999999999999,"type":[]}'),
    of(b"usage", b',"request":{},"response":{"usage":{"prompt_tokens":99999999999999999999,"completion_tokens":"x"}}'),
    of(b"usage-list", b',"request":{},"response":{"usage":[1]}'),
    of(b"long-id" * 200),
    of(b"long-dataset", b',"request":{},"dataset":"' + b"d" * 5_000 + b'"'),
    of(b"", b',"request":{}'),
    of(b"twice-key", b',"id":"other","request":{},"request":[]'),
    of(b"cut")[:40] + b"\n",
    b'{"v":1,"kind":"feedback","id":"f1","at":1,"call_id":"c","value":2}\n',
    b'{"v":1,"kind":"feedback","id":"f2","at":1,"call_id":"c","value":1e-400,"correction":'
    + b"[" * 5_000
    + b"]" * 5_000
    + b"}\n",
    b'{"v":1,"kind":"feedback","id":"f3","at":-1,"call_id":"\\ud800","comment":"\\u0000"}\n',
    b'{"v":2,"kind":"call","id":"v2"}\n',
    b'{"v":1,"kind":"nothing","id":"k"}\n',
]


def check(answer, sent):
    """The receipt adds up, line for line."""
    assert answer.status_code == 200, answer.text
    said = answer.json()
    blank = sum(not line.strip() for line in sent)
    assert said["new"] + said["seen"] + len(said["refused"]) + blank == len(sent)
    numbers = [one["line"] for one in said["refused"]]
    assert numbers == sorted(set(numbers))
    assert all(1 <= number <= len(sent) and one["why"] for number, one in zip(numbers, said["refused"], strict=True))
    return said


@pytest.mark.parametrize("number", range(len(CORPUS)))
def test_each_odd_line_between_two_good_ones(server, lines, number):
    """The good ones are taken whatever stands between them, and everything can be read back."""
    good = [lines.call(), lines.call()]
    sent = [good[0], CORPUS[number], good[1]]
    said = check(server.send(*sent), sent)
    assert said["new"] in (2, 3)
    found = {call["id"] for call in server.calls()}
    assert {ids(line) for line in good} <= found
    for call_id in found:
        answer = server.ask("GET", f"/v1/calls/{requests_quote(call_id)}", "read")
        assert answer.status_code == 200
        json.loads(answer.content, parse_constant=pytest.fail)
    assert server.ask("GET", "/v1/stats", "read").status_code == 200


def requests_quote(text):
    from urllib.parse import quote

    return quote(text, safe="")


def test_the_same_id_with_other_content_keeps_the_first(server):
    """In one batch, and in two."""
    first = of(b"same", b',"request":{"n":1},"dataset":"a"')
    second = of(b"same", b',"request":{"n":2},"dataset":"b"')
    assert server.send(first, second).json() == {"new": 1, "seen": 1, "refused": []}
    assert server.send(second).json() == {"new": 0, "seen": 1, "refused": []}
    (call,) = server.calls()
    assert call["dataset"] == "a"
    assert server.ask("GET", "/v1/calls/same", "read").json()["request"] == {"n": 1}
    variants = server.ask("GET", "/v1/stats", "read").json()["variants"]
    assert [(one["dataset"], one["calls"]) for one in variants] == [("a", 1)]


@pytest.mark.parametrize("seed", range(6))
def test_damaged_batches(server, seed):
    """Bytes flipped, cut, doubled and mixed, plain and packed: an answer of ours each time, and only whole records."""
    dice = Random(seed)
    maker = Lines(seed)
    whole = [maker.call() for _ in range(5)]
    for _ in range(25):
        data = bytearray(b"".join([*whole, *dice.sample(CORPUS, 3)]))
        for _ in range(dice.randrange(1, 6)):
            at = dice.randrange(len(data))
            match dice.randrange(3):
                case 0:
                    data[at] = dice.randrange(256)
                case 1:
                    del data[at : at + dice.randrange(50)]
                case _:
                    data[at:at] = data[max(0, at - 20) : at]
        body, headers = bytes(data), {}
        if dice.random() < 0.5:
            packed = bytearray(gzip.compress(body))
            if dice.random() < 0.5:
                packed[dice.randrange(len(packed))] ^= 1 << dice.randrange(8)
            body, headers = bytes(packed), {"Content-Encoding": "gzip"}
        answer = server.send(body, **headers)
        assert answer.status_code in {200, 400}, answer.text
        if answer.status_code == 400:
            assert answer.json()["error"]["message"]
        elif not headers:
            pieces = body.split(b"\n")
            check(answer, pieces if pieces[-1] else pieces[:-1])
    totals = server.ask("GET", "/v1/stats", "read").json()["totals"]
    assert totals["calls"] == len(server.calls())
