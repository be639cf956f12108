"""A candidate's answers beside the teacher's: those that differ, a page at a time, and nothing where the files are gone."""

from __future__ import annotations

import shutil

import pytest

from logos_shift_openai.core.held_out import Rules
from logos_shift_openai.server.evaluation import looking
from logos_shift_openai.server.evaluation.keeping import Answered, find_evaluation, keep_answers, open_evaluation
from logos_shift_openai.server.evaluation.looking import pairs_of
from logos_shift_openai.server.evaluation.questions import questions
from logos_shift_openai.server.tuners.edition import EditionError, read_edition

WRONG = {3, 7, 20, 21, 40}


@pytest.fixture
def asked(store, bench, edition):
    """An evaluation of fifty rows; of those in WRONG the answer is another one, of 30 there is an error."""
    name = edition("e", 50)
    rows = list(questions(read_edition(bench.home, name), {}, 50))
    with store.writing() as connection:
        one = open_evaluation(connection, name, {"model": "m"}, Rules(), bench.now())
        found = [
            Answered(row.row, None, None, "it refuses", None, None)
            if row.row == 30
            else Answered(row.row, answer("another" if row.row in WRONG else row.answer), None, None, 1, 1)
            for row in rows
        ]
        keep_answers(connection, one.id, found)
    return one.id


def answer(text):
    return {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}


def pages(store, bench, name, limit, **options):
    found, after = [], 0
    while after is not None:
        with store.reading() as connection:
            pairs, after = pairs_of(connection, bench.home, find_evaluation(connection, name), after, limit, **options)
        assert len(pairs) <= limit
        found += pairs
    return found


@pytest.mark.parametrize("at_once", [2_000, 10, 1])
def test_those_that_differ_come_page_by_page(store, bench, asked, monkeypatch, at_once):
    """None twice, none left out, however few rows a look reads; each with its question and both answers."""
    monkeypatch.setattr(looking, "_ROWS_AT_ONCE", at_once)
    found = pages(store, bench, asked, 2)
    assert [one.row for one in found] == sorted(WRONG | {30})
    assert found[0].answer["message"]["content"] == "another"
    assert found[0].expected["content"] != "another"
    assert found[0].question["messages"][0]["role"] == "user"
    failed = next(one for one in found if one.row == 30)
    assert (failed.answer, failed.error, failed.agreement) == (None, "it refuses", 0.0)


def test_all_come_where_all_are_asked_for(store, bench, asked):
    """In the order of the file."""
    assert [one.row for one in pages(store, bench, asked, 7, differ=False)] == list(range(1, 51))


def test_without_the_files_there_is_nothing_to_show(store, bench, asked):
    """And that is said."""
    shutil.rmtree(bench.home / "editions" / "e")
    with pytest.raises(EditionError, match="there is no edition e"):
        pages(store, bench, asked, 7)
