"""The gate of confidence of an experiment: chosen on its candidate's held-out answers, and set in the config.

Rule: the answers that a gate is chosen on are those of `server.evaluation`, to questions that no training saw. A gate
is a part of the candidate, so none is set or taken away while a rollout of it is under way.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.gate import Compared, choose
from logos_shift_openai.core.strict import ConfigError

from .evaluation.asked import elsewhere
from .evaluation.keeping import find_evaluation, latest_of, read_answers
from .evaluation.questions import asked_besides, questions
from .evaluation.running import judged_of
from .experiments import ExperimentError, NoExperimentError
from .rollout_guard import find
from .tuners.edition import EditionError, edition_of

if TYPE_CHECKING:
    from pathlib import Path

    from logos_shift_openai.core.config import Config, Experiment
    from logos_shift_openai.core.gate import Choice, Gate

    from .experiments import Document
    from .store.database import Store


def compared_of(store: Store, home: Path, evaluation: str) -> list[Compared]:
    """Give the held-out answers of a candidate, each with its confidences.

    Args:
        store: With the evaluation.
        home: Where its edition lies.
        evaluation: Its id.

    Raises:
        NoEvaluationError: there is none.
        EditionError: its edition is gone.
    """
    with store.reading() as connection:
        one = find_evaluation(connection, evaluation)
        there = read_answers(connection, evaluation)
        edition = edition_of(store, home, one.edition)
        besides = asked_besides(connection, edition)
    return [
        Compared(there[each.row].confidences, judged_of(one.rules, each, there[each.row]).agreement)
        for each in questions(edition, besides, one.rules.limit)
        if each.row in there
    ]


def choose_gate(store: Store, home: Path, evaluation: str, agreement: float, chance: float = 0.05) -> Choice | None:
    """Choose the gate that lets most answers through; None where none can be proven.

    Args:
        store: With the evaluation.
        home: Where its edition lies.
        evaluation: Its id.
        agreement: The part of all calls, in (0, 1), whose answer may not differ from the baseline's.
        chance: Of being wrong about it.

    Raises:
        NoEvaluationError: there is none.
        EditionError: its edition is gone.
    """
    return choose(compared_of(store, home, evaluation), agreement, chance)


class NoGateError(Exception):
    """No gate can be chosen; the message says why and what helps."""


def gate_for(store: Store, home: Path, key: str, config: Config, agreement: float, chance: float = 0.05) -> Choice:
    """Choose a gate for an experiment, on the latest held-out answers of its candidate.

    Args:
        store: With the evaluation.
        home: Where its edition lies.
        key: The experiment.
        config: The one in force.
        agreement: As for `choose_gate`.
        chance: Of being wrong about it.

    Raises:
        NoExperimentError: there is no such experiment.
        NoGateError: its candidate was asked nothing yet, no gate can be proven, or the edition is gone.
    """
    one = find(config, key)
    if one is None:
        raise NoExperimentError(f"there is no experiment {key}")
    with store.reading() as connection:
        found = latest_of(connection, one.candidate.model, one.candidate.provider)
    if found is None:
        raise NoGateError(
            f"{one.candidate.model} was asked no held-out questions yet: `logos-shift candidate evaluate` first"
        )
    try:
        choice = choose_gate(store, home, found.id, agreement, chance)
    except EditionError as error:
        with store.reading() as connection:
            raise NoGateError(elsewhere(connection, home, found.edition) or str(error)) from None
    if choice is None:
        raise NoGateError(
            f"no gate keeps {agreement:.1%} of all answers as they are, or too few are known: the candidate is "
            "sure of wrong ones, tells no log-probabilities, or was asked too little"
        )
    return choice


def gate_json(gate: Gate) -> dict[str, Any]:
    """Write a gate as the config has it."""
    return {"least": gate.least, "by": gate.by}


def gate_in(document: Document, key: str, gate: Gate | None) -> Experiment:
    """Set an experiment's gate in a config document, or take it away.

    Args:
        document: Changed in place.
        key: The experiment.
        gate: None for none.

    Raises:
        NoExperimentError: there is no such experiment.
        ExperimentError: the config would not take it.
    """
    one = next((one for one in document.get("experiments", []) if one["key"] == key), None)
    if one is None:
        raise NoExperimentError(f"there is no experiment {key}")
    one["candidate"].pop("gate", None)
    if gate is not None:
        one["candidate"]["gate"] = gate_json(gate)
    try:
        config = config_from(document)
    except ConfigError as error:
        raise ExperimentError(str(error)) from None
    return next(each for each in config.experiments if each.key == key)
