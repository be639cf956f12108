"""Tokens and their probabilities."""

from __future__ import annotations

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from logos_shift_openai.lab.odds import LEAST_LOGPROB, Odds, token_odds, tokens
from logos_shift_openai.lab.oracle import Oracle
from logos_shift_openai.lab.tiny import NO_IDEA, Untuned, listed_labels


@given(st.text())
def test_tokens_lose_nothing(text: str) -> None:
    """Whatever the text, its tokens joined give it back."""
    assert "".join(tokens(text)) == text


def test_labels_fall_into_their_words() -> None:
    """An underscore or a blank goes with the word after it."""
    assert tokens("activate_my_card") == ("activate", "_my", "_card")
    assert tokens("It works, now.") == ("It", " works", ",", " now", ".")


@given(
    st.lists(st.text("ab_ ", min_size=1, max_size=6), min_size=1, max_size=6, unique=True),
    st.integers(0, 1000),
)
def test_token_logprobs_add_up_to_the_answer(answers: list[str], seed: int) -> None:
    """Where no answer begins with another, the tokens' log probabilities sum to the answer's own."""
    ended = [f"{answer}." for answer in answers]
    weights = [random.Random(seed + i).uniform(0.1, 1.0) for i in range(len(ended))]
    odds = Odds(ended, [weight / sum(weights) for weight in weights])
    for answer, probability in zip(odds.answers, odds.probabilities, strict=True):
        total = sum(token.logprob for token in token_odds(odds, answer, 0))
        assert math.isclose(total, math.log(probability), abs_tol=1e-9)


def test_the_likeliest_tokens_are_named_in_order() -> None:
    """At each place the tokens of all answers that still fit, most likely first, as many as asked."""
    odds = Odds(["card_lost", "card_stolen", "pin"], [0.5, 0.3, 0.2])
    first, second = token_odds(odds, "card_lost", 2)
    assert [token for token, _ in first.likeliest] == ["card", "pin"]
    assert math.isclose(math.exp(first.logprob), 0.8)
    assert [round(math.exp(p), 3) for _, p in second.likeliest] == [0.625, 0.375]


def test_an_impossible_answer_has_the_least_logprob() -> None:
    """Probability 0 is written as OpenAI writes it, not as minus infinity."""
    assert token_odds(Odds(["a", "b"], [1.0, 0.0]), "b", 0)[0].logprob == LEAST_LOGPROB


def test_draws_follow_the_temperature() -> None:
    """At 0 the best is taken; at 1 draws come near their probabilities; a cold draw is sharper."""
    odds, dice = Odds(["a", "b"], [0.7, 0.3]), random.Random(5)
    assert {odds.draw(0, dice) for _ in range(50)} == {"a"}
    warm = sum(odds.draw(1.0, dice) == "a" for _ in range(2000)) / 2000
    cold = sum(odds.draw(0.5, dice) == "a" for _ in range(2000)) / 2000
    assert abs(warm - 0.7) < 0.05
    assert abs(cold - 0.49 / 0.58) < 0.05


ROWS = [(f"{word} number {i}", f"{word}_label") for word in ("red", "blue", "green") for i in range(700)]


def test_the_oracle_is_right_as_often_as_it_says() -> None:
    """Over 2,100 texts the share of right answers is .95 within a hundredth and a half."""
    oracle = Oracle(ROWS)
    share = sum(oracle.answer(text) == label for text, label in ROWS) / len(ROWS)
    assert abs(share - 0.95) < 0.015


def test_the_oracle_repeats_itself_and_the_seed_moves_its_errors() -> None:
    """The same text gets the same answer from another object; another seed errs elsewhere."""
    first, again, other = Oracle(ROWS, seed=1), Oracle(ROWS, seed=1), Oracle(ROWS, seed=2)
    answers = [[oracle.answer(text) for text, _ in ROWS] for oracle in (first, again, other)]
    assert answers[0] == answers[1] != answers[2]


def test_the_oracle_answers_unknown_texts_by_the_nearest() -> None:
    """A text it never saw is labelled as the known one most like it; accuracy 1 never errs."""
    oracle = Oracle([("Where is my new card?", "arrival"), ("I forgot my pin", "pin")], accuracy=1.0)
    assert oracle.answer("WHERE  is my new card?") == "arrival"
    assert oracle.answer("what now, I forgot that pin again") == "pin"
    assert oracle.answer("xyzzy") in ("arrival", "pin")


def test_the_oracle_believes_what_it_says() -> None:
    """The given answer carries the accuracy as probability, the other labels share the rest."""
    odds = Oracle(ROWS, accuracy=0.9).odds([{"role": "user", "content": "red number 1"}])
    assert sorted(odds.probabilities) == pytest.approx([0.05, 0.05, 0.9])
    assert Oracle([("a", "b")]).odds([{"role": "user", "content": "a"}]).probabilities == [1.0]


@pytest.mark.parametrize(("rows", "accuracy"), [([], 0.5), ([("a", "b")], 1.5)])
def test_an_impossible_oracle_is_refused(rows: list[tuple[str, str]], accuracy: float) -> None:
    """No rows, or an accuracy outside 0 to 1, raise at once."""
    with pytest.raises(ValueError, match=r"rows|accuracy"):
        Oracle(rows, accuracy)


@pytest.mark.parametrize(
    ("prompt", "labels"),
    [
        ("Choose one: lost card, pin_blocked, refund.", ["lost card", "pin_blocked", "refund"]),
        ("Labels:\n- lost card\n- refund\n", ["lost card", "refund"]),
        ("You are a helpful assistant.", []),
        ("", []),
    ],
)
def test_labels_are_found_in_a_prompt(prompt: str, labels: list[str]) -> None:
    """Commas, lines and bullets are read; a prompt without a list has no labels."""
    assert listed_labels(prompt) == labels


def test_the_untuned_model_goes_by_shared_words() -> None:
    """It picks the label with most words of the question; without labels it has no idea."""
    system = {"role": "system", "content": "One of: activate_my_card, change_pin"}
    odds = Untuned().odds([system, {"role": "user", "content": "how to change the PIN?"}])
    assert odds.best() == "change_pin"
    assert 0.5 < max(odds.probabilities) < 1.0
    assert Untuned().odds([{"role": "user", "content": "hello"}]).best() == NO_IDEA
