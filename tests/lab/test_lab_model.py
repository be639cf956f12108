"""The small model by itself: it learns, it is calibrated to add up to 1, and it is stored without loss."""

from __future__ import annotations

import json
import math
import random

import pytest

from logos_shift_openai.lab import data
from logos_shift_openai.lab.features import features
from logos_shift_openai.lab.softmax import SoftmaxModel, model_from_json
from logos_shift_openai.lab.training import MAX_ANSWERS, Example, Settings, Step, Training, score


def seen(rows: list[tuple[str, str]]) -> list[Example]:
    return [(features([{"role": "user", "content": text}]), intent) for text, intent in rows]


def some_rows(number: int) -> list[tuple[str, str]]:
    rows = data.rows("train")
    random.Random(1).shuffle(rows)
    return rows[:number]


def trained(examples: list[Example], held_out: list[Example] | None = None, **settings: float) -> Step:
    *_, last = Training(examples, held_out or [], Settings(**settings)).run()  # type: ignore[arg-type]
    return last


def model_of(step: Step) -> SoftmaxModel:
    assert step.model is not None
    return step.model


def test_ten_intents_are_learnt_from_450_rows() -> None:
    """Held-out accuracy on the published test texts is at least .93; the loss is far below guessing."""
    examples = seen(some_rows(500))
    model = model_of(trained(examples[:450], examples[450:]))
    result = score(model, seen(data.rows("test")))
    assert result is not None
    print(f"held-out accuracy {result.accuracy:.3f} on {result.rows} rows, loss {result.loss:.3f}")
    assert result.accuracy >= 0.93
    assert result.loss < 0.3 < math.log(10)


def test_wrong_labels_do_not_ruin_it() -> None:
    """With 5 % of the training labels wrong, as from a fallible teacher, it still reaches .90."""
    dice = random.Random(2)
    rows = [(text, intent if dice.random() > 0.05 else dice.choice(data.labels())) for text, intent in some_rows(500)]
    result = score(model_of(trained(seen(rows))), seen(data.rows("test")))
    assert result is not None
    assert result.accuracy >= 0.90


def test_the_same_file_and_seed_give_the_same_model() -> None:
    """Training is repeatable, and another seed gives other weights."""
    examples = seen(some_rows(60))
    first, again = (model_of(trained(examples, seed=3, epochs=2)) for _ in range(2))
    other = model_of(trained(examples, seed=4, epochs=2))
    assert first.weights == again.weights != other.weights


def test_every_step_is_reported_and_the_loss_falls() -> None:
    """Steps are numbered to the announced total; each epoch's end carries a model and its held-out score."""
    examples = seen(some_rows(120))
    training = Training(examples[:100], examples[100:], Settings(epochs=3, batch=8))
    steps = list(training.run())
    assert [step.number for step in steps] == list(range(1, training.total_steps + 1))
    ends = [step for step in steps if step.model is not None]
    assert [step.epoch for step in ends] == [1, 2, 3]
    assert all(step.valid is not None and step.valid.rows == 20 for step in ends)
    assert sum(step.loss for step in steps[-13:]) < sum(step.loss for step in steps[:13]) / 2


def test_probabilities_add_up_and_name_the_right_answer() -> None:
    """They lie between 0 and 1, sum to 1, and a training text gets its own label."""
    rows = some_rows(200)
    model = model_of(trained(seen(rows)))
    odds = model.probabilities(seen(rows)[0][0])
    assert math.isclose(sum(odds), 1.0)
    assert model.answers[odds.index(max(odds))] == rows[0][1]


def test_a_text_of_unknown_words_gets_even_odds() -> None:
    """Without one known feature the model has no opinion."""
    model = model_of(trained(seen(some_rows(50)), epochs=1))
    assert len(set(model.probabilities({"~@@@"}))) == 1


def test_the_stored_model_answers_exactly_alike() -> None:
    """JSON and back changes no probability, not in the last digit."""
    model = model_of(trained(seen(some_rows(100)), epochs=2))
    again = model_from_json(json.loads(json.dumps(model.to_json())))
    for text, _ in seen(data.rows("test")):
        assert again.probabilities(text) == model.probabilities(text)


def test_a_damaged_model_is_refused() -> None:
    """Another format number, or weights that do not fit the vocabulary, raise."""
    stored = model_of(trained(seen(some_rows(20)), epochs=1)).to_json()
    with pytest.raises(ValueError, match="format 9"):
        model_from_json({**stored, "format": 9})
    with pytest.raises(ValueError, match="different sizes"):
        model_from_json({**stored, "vocabulary": ["a"]})


def test_a_single_answer_is_learnt_too() -> None:
    """A file with one answer gives a model that is sure of it."""
    model = model_of(trained([({"a"}, "yes"), ({"b"}, "yes")], epochs=1))
    assert model.probabilities({"a"}) == [1.0]


def test_too_many_answers_and_none_at_all_are_refused() -> None:
    """The limit is named, with the number the file has."""
    many = [({f"w{i}"}, f"answer {i}") for i in range(MAX_ANSWERS + 1)]
    with pytest.raises(ValueError, match="at most 1,000 distinct answers, the file has 1,001"):
        Training(many)
    with pytest.raises(ValueError, match="nothing to learn"):
        Training([])


def test_the_question_is_told_apart_from_its_surroundings() -> None:
    """The same word in the system prompt and in the question are two features; parts of content are read."""
    found = features(
        [
            {"role": "system", "content": "Card?"},
            {"role": "user", "content": [{"type": "text", "text": "My card"}]},
        ]
    )
    assert {"system:card", "card", "my card", "~<ca", "~ard>"} <= found
    assert "system:my" not in found
