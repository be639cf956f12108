"""Who asked the same again within a minute."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.core.booking import ScoredCall
from logos_shift_openai.core.records import Unit
from logos_shift_openai.core.regenerated import REGENERATED, WINDOW_SECONDS, with_regenerated


def call(at, question, user="u", number=0):
    scores = {"errors": 1.0}
    return ScoredCall(at, f"{at:09.1f}-{number}", Unit("user", user), "baseline", 100, 500, scores, question)


def scored(calls, now=1e6):
    found = list(with_regenerated(calls, 1.0, 0.0, now))
    assert [one.id for one in found] == [one.id for one in calls]
    assert all(one.scores["errors"] == 1.0 for one in found)
    return [one.scores.get(REGENERATED) for one in found]


def test_it_counts_against_the_earlier_call():
    assert scored([call(0, "a"), call(30, "a"), call(90, "a"), call(151, "a")]) == [0.0, 0.0, 1.0, 1.0]


def test_another_user_or_another_question_is_no_repetition():
    assert scored([call(0, "a"), call(1, "b"), call(2, "a", "v"), call(3, None)]) == [1.0, 1.0, 1.0, None]


def test_good_and_bad_news_come_at_the_same_age():
    calls = [call(0, "a"), call(10, "a"), call(30, "b")]
    assert scored(calls, now=59.9) == [None, None, None]
    assert scored(calls, now=60) == [0.0, None, None]
    assert scored(calls, now=90) == [0.0, 1.0, 1.0]


@given(
    st.lists(st.tuples(st.integers(0, 400), st.sampled_from(["a", "b", None]), st.sampled_from("uv")), max_size=25),
    st.integers(0, 500),
)
def test_it_is_what_looking_at_every_pair_says(asked, now):
    calls = sorted(
        (call(at, question, user, n) for n, (at, question, user) in enumerate(asked)), key=lambda one: (one.at, one.id)
    )
    expected = []
    for index, one in enumerate(calls):
        again = any(
            (later.unit, later.question) == (one.unit, one.question) and later.at - one.at <= WINDOW_SECONDS
            for later in calls[index + 1 :]
        )
        known = one.question is not None and one.at + WINDOW_SECONDS <= now
        expected.append(float(not again) if known else None)
    assert scored(calls, now) == expected
