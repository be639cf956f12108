"""A candidate answers what is held out, over a real lab: the verdict, its bounds, and what happens in between."""

from __future__ import annotations

import pytest

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.held_out import Rules
from logos_shift_openai.core.prices import Price
from logos_shift_openai.server.evaluation.keeping import (
    find_evaluation,
    latest_of,
    list_evaluations,
    open_evaluation,
    read_answers,
)
from logos_shift_openai.server.evaluation.refusing import refused_by_gate
from logos_shift_openai.server.evaluation.running import evaluate
from logos_shift_openai.server.gates import choose_gate
from logos_shift_openai.server.prices import keep_prices

LARGE = {"model": "oracle-large", "provider": "lab"}


def begin(bench, edition, candidate=LARGE, **rules):
    with bench.store.writing() as connection:
        return open_evaluation(connection, edition, candidate, Rules(**rules), bench.now()).id


def chats(lab):
    return sum(one.path.endswith("/chat/completions") for one in lab.requests)


def test_a_good_candidate_passes_and_a_shuffled_edition_never(lab, bench, edition):
    """The report has the figures; the failed one is the candidate's latest, and refuses its rollout."""
    good = evaluate(bench, begin(bench, edition("good", 100)))
    assert good.state == "passed", good.said
    assert good.report["rows"] == good.report["held_out"] == 100
    assert good.report["agreement"] >= 0.9
    assert good.report["tokens"][0] > 0
    candidate = (
        config_from({"version": 1, "experiments": [{"key": "k", "salt": "s", "share": 0, "candidate": LARGE}]})
        .experiments[0]
        .candidate
    )
    with bench.store.reading() as connection:
        assert refused_by_gate(connection, candidate) is None
    bad = evaluate(bench, begin(bench, edition("bad", 100, shuffled=True)))
    assert bad.state == "failed"
    assert "the floor is 80.0%" in bad.said
    with bench.store.reading() as connection:
        assert [one.id for one in list_evaluations(connection)] == [bad.id, good.id]
        assert "held-out questions of edition bad" in refused_by_gate(connection, candidate)


def test_no_row_is_asked_twice(lab, bench, edition):
    """Neither when it is asked for again, nor by other rules; a higher limit asks the rest alone."""
    edition("e", 60)
    name = begin(bench, "e", limit=40)
    assert evaluate(bench, name).report["rows"] == 40
    assert chats(lab) == 40
    assert begin(bench, "e", limit=40) == name
    assert evaluate(bench, name).state == "passed"
    assert evaluate(bench, begin(bench, "e", limit=40, floor=0.999)).state == "failed"
    assert chats(lab) == 40
    assert evaluate(bench, begin(bench, "e", limit=60)).report["rows"] == 60
    assert chats(lab) == 60


def test_a_provider_that_is_away_says_nothing_of_its_model(lab, bench, edition):
    """It stays open, keeps what was answered, and goes on; after eight turns without an answer it has failed."""
    edition("e", 40)
    name = begin(bench, "e")
    lab.faults.add("drop", on="chat", count=10_000)
    broken = evaluate(bench, name)
    assert (broken.state, broken.attempts) == ("open", 1)
    assert broken.due > broken.updated
    lab.faults.clear()
    assert evaluate(bench, name).state == "passed"
    other = begin(bench, "e", {"model": "nobody", "provider": "lab"})
    for _ in range(8):
        ended = evaluate(bench, other)
    assert ended.state == "failed"
    assert "nobody answers: nobody: 404" in ended.said


def test_a_provider_that_this_process_does_not_know_is_waited_for(bench, edition):
    """However often: another process may know it."""
    name = begin(bench, edition("e", 40), {"model": "m", "provider": "unknown"})
    for _ in range(9):
        found = evaluate(bench, name)
    assert (found.state, found.attempts) == ("open", 0)
    assert "LOGOS_SHIFT_PROVIDER_UNKNOWN_BASE_URL is not set" in found.said


def test_killed_between_two_parts_it_goes_on_there(lab, bench, edition, monkeypatch):
    """What was kept is not asked again: each row is asked once but for the part that was in hand."""
    edition("e", 48)
    name = begin(bench, "e")

    class Killed(BaseException):
        pass

    from logos_shift_openai.server.evaluation import running

    real, parts = running.keep_answers, []

    def dies(connection, evaluation, found):
        real(connection, evaluation, found)
        parts.append(1)
        if len(parts) == 2:
            raise Killed  # its transaction is undone

    with monkeypatch.context() as patched:
        patched.setattr(running, "keep_answers", dies)
        with pytest.raises(Killed):
            evaluate(bench, name)
    with bench.store.reading() as connection:
        assert len(read_answers(connection, name)) == 16
        assert find_evaluation(connection, name).state == "open"
    assert evaluate(bench, name).report["rows"] == 48
    assert chats(lab) == 48 + 16


def test_the_money_that_it_may_cost_ends_it(lab, bench, edition):
    """At the part in which it is spent; what was answered is judged."""
    edition("e", 64)
    with bench.store.writing() as connection:
        keep_prices(connection, {"oracle-large": Price(1_000.0, 1_000.0)})
    ended = evaluate(bench, begin(bench, "e", money=0.01, rows=10))
    assert ended.report["rows"] == 16
    assert ended.report["cost"] > 0.01
    assert "0.01 dollars that it may cost are spent" in ended.said
    assert ended.state == "passed"


def test_a_gate_is_chosen_on_the_answers(lab, bench, edition):
    """By the confidences that were kept; the large model is sure of what it says."""
    name = begin(bench, edition("e", 100))
    evaluate(bench, name)
    with bench.store.reading() as connection:
        assert latest_of(connection, "oracle-large", "lab").id == name
        assert all(one.confidences for one in read_answers(connection, name).values())
    choice = choose_gate(bench.store, bench.home, name, 0.8)
    assert choice.answers == 100
    assert choice.bound <= 0.2
    assert choose_gate(bench.store, bench.home, name, 0.999) is None
