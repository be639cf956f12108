"""Shapes of answers and what fills their gaps, by themselves."""

from __future__ import annotations

import json
import math

import pytest

from logos_shift_openai.lab.answers import Answer, Call, answer_of, same
from logos_shift_openai.lab.guess import made_up_call
from logos_shift_openai.lab.pointer import Pointer, Slot, learn
from logos_shift_openai.lab.shapes import copied_paths, filled, names_of, shape, slots_of
from logos_shift_openai.lab.spans import cut_up, pieces_for
from logos_shift_openai.lab.wanted import Tool

BOOK = 'a table for 4, on "next Monday" please; 1,200.50 euros at most'


@pytest.mark.parametrize(
    ("value", "found"),
    [
        ("next Monday", ["next Monday"]),
        ("table", ["table"]),
        ("abl", []),
        ("4", ["4"]),
        (4, ["4"]),
        (4.0, ["4"]),
        (1200.5, ["1,200.50"]),
        (50, []),
        (True, []),
        (None, []),
    ],
)
def test_a_value_is_found_where_it_stands(value: object, found: list[str]) -> None:
    """Words at their edges, without marks; numbers by their value; nothing inside a word or a number."""
    assert [span.text for span in pieces_for(value, cut_up(BOOK))] == found


@pytest.mark.parametrize(
    "answer",
    [
        "a label",
        "[1, 2",
        '{"day": "next Monday", "guests": 4, "limit": 1200.5, "window": null}',
        '{"day":"next Monday","deep":[{"n":4}]}',
        '{\n  "day": "next Monday"\n}',
        '{"day" : "next Monday"}',
        '{"name": "Zoë", "day": "next Monday"}',
        (Call("book", '{"guests": 4, "day": "next Monday"}'), Call("book", "{}")),
        (Call("broken", '{"guests": 4'),),
    ],
)
def test_an_answer_comes_back_out_of_its_shape(answer: Answer) -> None:
    """Cut and filled with the right pieces, it is the same to the letter, whatever its JSON looks like."""
    cut = shape(BOOK, answer, copied_paths([(BOOK, answer)]))
    assert filled(cut.key, [min(right) for _, right in cut.gaps]) == answer
    assert [slot for slot, _ in cut.gaps] == list(slots_of(cut.key))


def test_the_same_shape_fits_another_question() -> None:
    """Two answers that differ in copied values alone have one shape, named by its functions."""
    other = "for 7 on Friday"
    rows: list[tuple[str, Answer]] = [
        (BOOK, (Call("book", '{"guests": 4, "day": "next Monday"}'),)),
        (other, (Call("book", '{"guests": 7, "day": "Friday"}'),)),
    ]
    first, second = (shape(text, answer, copied_paths(rows)) for text, answer in rows)
    assert first.key == second.key
    assert names_of(first.key) == ("book",)
    assert [slot for slot, _ in first.gaps] == [Slot("book.guests", "integer", 0), Slot("book.day", "text", 0)]


def test_a_label_that_stands_in_the_question_by_chance_stays_a_label() -> None:
    """What is copied is decided by path, over all examples."""
    rows: list[tuple[str, Answer]] = [
        (text, json.dumps({"intents": [intent]}))
        for text, intent in (("my card", "card"), ("it is lost", "card"), ("how long", "wait"))
    ]
    assert copied_paths(rows) == frozenset()
    assert shape(*rows[0], frozenset()).key == rows[0][1]


def test_the_pointer_learns_which_word_goes_where() -> None:
    """From "from A to B" it learns the two ends, for names it has never seen, in either order of the gaps."""
    towns = ["Rome", "Oslo", "Bern", "Kyiv", "Riga", "Bonn"]
    rows: list[tuple[str, Answer]] = [
        (f"please go from {a} to {b} today", json.dumps({"end": b, "start": a})) for a in towns for b in towns if a != b
    ]
    copied = copied_paths(rows)
    gaps = [(slot, text, right) for text, answer in rows for slot, right in shape(text, answer, copied).gaps]
    weights: dict[str, float] = {}
    assert sum(1 for _ in learn(gaps, 0, weights)) > len(gaps)
    key = shape(*rows[0], copied).key
    best = Pointer(weights).fillings(slots_of(key), "please go from Lima to Cork today")
    assert filled(key, best[0].spans) == json.dumps({"end": "Cork", "start": "Lima"})
    assert best[0].probability > 0.8
    assert math.fsum(filling.probability for filling in best) <= 1.0
    untaught = Pointer().fillings(slots_of(key), "please go from Lima to Cork today")
    assert untaught[0].probability < 0.1


def test_gaps_share_no_letter_and_may_stay_empty() -> None:
    """One number cannot fill two gaps."""
    slots = [Slot("f.a", "integer", 0), Slot("f.b", "integer", 1)]
    assert [span.text for span in Pointer().fillings(slots, "2 and 3")[0].spans] == ["2", "3"]
    assert Pointer().fillings(slots, "only 2") == []


def test_a_call_is_made_up_from_a_schema() -> None:
    """Required arguments by type, an optional one if its enum names it; without pieces the least that fits."""
    properties = {
        "base": {"type": "integer"},
        "sides": {"type": "array", "items": {"type": "number"}},
        "unit": {"type": "string", "enum": ["inch", "cm"]},
        "exact": {"type": "boolean"},
        "note": {"type": "string"},
        "colour": {"type": "string", "enum": ["red", "blue"]},
    }
    tool = Tool("area", "", {"type": "object", "properties": properties, "required": ["base", "sides", "exact"]})
    made = json.loads(made_up_call(tool, "area of 3 by 4.5 and 5 cm", Pointer()).arguments)
    assert made == {"base": 3, "sides": [4.5, 5.0], "unit": "cm", "exact": True}
    assert json.loads(made_up_call(tool, "area", Pointer()).arguments) == {"base": 0, "sides": [], "exact": False}


def test_answers_are_compared_by_what_they_say() -> None:
    """JSON by its values, calls by their arguments, labels to the letter; and only texts and calls are answers."""
    assert same('{"a": 1, "b": 2}', '{"b":2,"a":1}')
    assert same((Call("f", '{"a": 1}'),), (Call("f", '{"a":1}'),))
    assert not same((Call("f"),), (Call("g"),))
    assert not same("a", (Call("a"),))
    assert not same("1", "1.0")
    with pytest.raises(ValueError, match="an answer is"):
        answer_of([])


@pytest.mark.parametrize(
    "text", ["9" * 1_000_000, "a " * 500_000, "x" * 1_000_000 + " 3", "1,1" * 300_000, "", "\ud800 7"]
)
def test_huge_and_odd_questions_are_cut_up_in_little_time_and_space(text: str) -> None:
    """Only the beginning counts, and a number that is none is left alone."""
    question = cut_up(text)
    assert len(question.runs) < 2_000
    assert len(question.text) <= 4_000
    assert all(abs(span.number or 0) < 1e15 for span in question.numbers)
