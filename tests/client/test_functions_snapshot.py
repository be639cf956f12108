"""Any value of Python as JSON: what is said in JSON's words, what becomes a short text, and what is never touched."""

from __future__ import annotations

import collections
import dataclasses
import datetime as dt
import decimal
import enum
import fractions
import json
import pathlib
import uuid

import pydantic
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.client.snapshot import snapshot


class Colour(enum.Enum):
    RED = "red"


class Model(pydantic.BaseModel):
    name: str
    key: pydantic.SecretStr = pydantic.SecretStr("hidden")
    left_out: str = pydantic.Field("x", exclude=True)
    when: dt.date = dt.date(2026, 11, 24)
    inner: list[Model] = []


@dataclasses.dataclass
class Data:
    name: str
    tags: set[str]
    key: str = dataclasses.field(default="sk-hidden", repr=False)


class Plain:
    pass


def read(value):
    return json.loads(snapshot(value))


def itself():
    value = [1]
    value.append(value)
    return value


@pytest.mark.parametrize(
    ("value", "said"),
    [
        (None, None),
        ("Grüße 🎉", "Grüße 🎉"),
        ((1, 2.5, True), [1, 2.5, True]),
        (2**80, 2**80),
        ({1: "a", None: "b", False: "c"}, {"1": "a", "null": "b", "false": "c"}),
        ({("a", 1): 2, "b": {3}}, {"('a', 1)": 2, "b": [3]}),
        ({Colour.RED: Colour.RED}, {"<test_functions_snapshot.Colour>": "red"}),
        (frozenset({1}), [1]),
        (collections.deque([1]), [1]),
        (collections.OrderedDict(a=1), {"a": 1}),
        (dt.datetime(2026, 11, 24, 1, 2, 3, tzinfo=dt.timezone.utc), "2026-11-24T01:02:03+00:00"),
        (dt.time(1, 2), "01:02:00"),
        (decimal.Decimal("1.10"), "1.10"),
        (fractions.Fraction(1, 2), 0.5),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        (pathlib.PurePosixPath("/a/b"), "/a/b"),
        (b"\x00" * 1_000_000, "<1000000 bytes>"),
        (bytearray(3), "<3 bytes>"),
        (range(3), "range(0, 3)"),
        (ValueError("v"), "ValueError('v')"),
        (Data("d", {"t"}), {"name": "d", "tags": ["t"]}),
        (Plain(), "<test_functions_snapshot.Plain>"),
        ([Plain(), 1], ["<test_functions_snapshot.Plain>", 1]),
        (itself(), [1, "<itself>"]),
        (1j, "1j"),
    ],
    ids=lambda value: type(value).__name__,
)
def test_said_in_jsons_words(value, said):
    """Common values have their common form; others a short text."""
    assert read(value) == said


def test_models_are_dumped_as_they_want_to_be():
    """Models of pydantic keep their secrets and leave out what they exclude."""
    said = read(Model(name="a", inner=[Model(name="b")]))
    assert said["name"] == "a"
    assert said["when"] == "2026-11-24"
    assert said["inner"][0]["name"] == "b"
    assert "left_out" not in said
    assert "hidden" not in json.dumps(said)


def test_texts_are_short_and_without_addresses():
    """What becomes a text is short, and the same in every process."""
    assert len(read(collections.UserList(range(10_000)))) <= 201
    assert "0x" not in read(test_texts_are_short_and_without_addresses)
    assert "0x" not in read(object())


def test_nothing_is_consumed():
    """Iterators of all kinds, anywhere in a value, still have all their items."""

    class Holder(pydantic.BaseModel):
        model_config = pydantic.ConfigDict(arbitrary_types_allowed=True)
        anything: object

    def numbers():
        yield from range(3)

    @dataclasses.dataclass
    class Held:
        anything: object

    made = [numbers(), iter([0, 1, 2]), map(int, "012"), numbers(), numbers(), numbers()]
    generator, iterator, mapped, in_model, in_data, in_odd = made
    snapshot([generator, {"a": iterator}, mapped, Holder(anything=in_model), Held(in_data), {(1,): in_odd}])
    assert [list(one) for one in made] == [[0, 1, 2]] * 6


def test_code_of_others_is_not_run():
    """A class outside the standard library is named only: its `repr` might query a database."""
    asked = []

    class Query:
        def __repr__(self):
            asked.append(1)
            return "all rows"

    assert read([Query()]) == ["<test_functions_snapshot.test_code_of_others_is_not_run.<locals>.Query>"]
    assert asked == []


def test_halves_of_surrogate_pairs():
    """Text that UTF-8 cannot say is still written, as valid UTF-8."""
    assert snapshot("a\ud800").decode("utf-8") == '"a?"'


def test_a_number_too_long_to_write():
    """A number that Python itself refuses to write down is still something."""
    assert isinstance(read([10**5000]), str)


def test_deep_values():
    """A value nested deeper than the stack is still something."""
    value = []
    for _ in range(100_000):
        value = [value]
    assert snapshot(value)


@settings(deadline=None, max_examples=50)
@given(st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False, allow_infinity=False) | st.text(alphabet=st.characters(codec="utf-8")),
    lambda inner: st.lists(inner) | st.dictionaries(st.text(alphabet=st.characters(codec="utf-8")), inner),
))  # fmt: skip
def test_json_is_kept_as_it_is(value):
    """A value that is JSON already comes back the same."""
    assert read(value) == value
