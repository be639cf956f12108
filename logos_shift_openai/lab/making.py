"""From lessons to a run, and from a run to the model that answers: as wholes, or in parts where there is a plan."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from .composed import ComposedModel
from .label_training import LabelTraining, fit
from .learnt import LearntModel
from .training import Training

if TYPE_CHECKING:
    from .arguments import Arguments
    from .learnt import Learnt
    from .pointer import Pointer
    from .softmax import SoftmaxModel
    from .training import Settings
    from .tuning_run import Lessons


def training_of(learnt: Lessons, settings: Settings) -> Training | LabelTraining:
    """Make the run that learns the lessons.

    Raises:
        ValueError: No example, or too many distinct answers.
    """
    if learnt.plan is None:
        return Training(learnt.train, learnt.held_out, settings)
    return LabelTraining(learnt.parts, learnt.parts_held_out, learnt.plan.keys, settings)


def model_of(learnt: Lessons, trained: SoftmaxModel, pointer: Pointer, arguments: Arguments) -> Learnt:
    """Make the model of what a run has learnt."""
    if learnt.plan is None:
        return LearntModel(trained, pointer, arguments)
    factor, summand = fit(trained, learnt.parts_held_out)
    return ComposedModel(learnt.plan, replace(trained, sharpness=factor), pointer, summand)
