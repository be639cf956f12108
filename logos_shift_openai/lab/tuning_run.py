"""The pieces of one training run that need no thread: split, lessons, settings, figures, names.

Owns how a training file is split, what the two parts of the model learn from it, which hyperparameters "auto"
stands for, and how figures are worded in events, checkpoints and the result file.
"""

from __future__ import annotations

import csv
import io
import json
import random
import secrets
import string
from collections import Counter
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from .composed import features_of_parts
from .features import features, question, text_of, words
from .parts import gaps_of, labels_of, plan_of
from .shapes import BY_SCHEMA, Shaped, copied_paths, shape
from .training import Example, Settings, Step

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from .answers import Call
    from .arguments import Lesson as CallLesson
    from .chat_file import ChatExample
    from .job import Job
    from .label_training import LabelExample
    from .learnt import Exact
    from .parts import Plan
    from .pointer import Slot
    from .spans import Span
    from .wanted import Tool

_HELD_OUT_SHARE, _MOST_HELD_OUT, _LEAST_TO_HOLD_OUT = 0.1, 1_000, 50
_KNOWN_FROM = 4  # examples of a function, from here on its own shapes are learnt
_NOTED_STEPS = 40  # events with metrics a job, besides those of the epochs


class Report:
    """The figures of a run: events now and then, every step in the result file."""

    def __init__(self, job: Job, total: int) -> None:
        self._job = job
        self._every = max(1, total // _NOTED_STEPS)
        self._lines: list[tuple[object, ...]] = []
        self.valid = ""

    def note(self, step: Step) -> None:
        """Take in the figures of a step."""
        valid = step.valid
        row: tuple[object, ...] = (step.number, f"{step.loss:.5f}", f"{step.accuracy:.5f}")
        self._lines.append((*row, f"{valid.loss:.5f}", f"{valid.accuracy:.5f}") if valid else (*row, "", ""))
        if step.model is None and step.number % self._every and step.number > 1:
            return
        message = f"Step {step.number}/{step.total}: training loss={step.loss:.2f}"
        if valid is not None:
            message += f", validation loss={valid.loss:.2f}, validation accuracy={valid.accuracy:.3f}"
            self.valid = f"Validation accuracy {valid.accuracy:.3f} on {valid.rows} held-out examples"
        self._job.event(message, data={"total_steps": step.total, **metrics(step)})

    def note_exact(self, exact: Exact) -> None:
        """Say how many held-out answers came out exactly; the steps' accuracy is that of the answers' shapes."""
        if exact.rows:
            self._job.event(f"{exact.right} of {exact.rows} held-out answers exact, the words in their gaps included")

    def csv(self) -> bytes:
        """Write the result file."""
        text = io.StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(("step", "train_loss", "train_accuracy", "valid_loss", "valid_mean_token_accuracy"))
        writer.writerows(self._lines)
        return text.getvalue().encode()


def metrics(step: Step) -> dict[str, object]:
    """Name the figures as OpenAI does; an answer, or its shape, counts as one token, since the model picks it whole."""
    metrics: dict[str, object] = {
        "step": step.number,
        "train_loss": step.loss,
        "train_mean_token_accuracy": step.accuracy,
    }
    if step.valid is not None:
        loss, accuracy = step.valid.loss, step.valid.accuracy
        metrics |= {"valid_loss": loss, "valid_mean_token_accuracy": accuracy}
        metrics |= {"full_valid_loss": loss, "full_valid_mean_token_accuracy": accuracy}
    return metrics


def hold_out(examples: list[ChatExample], seed: int) -> tuple[list[ChatExample], list[ChatExample]]:
    """Put a tenth aside to measure on.

    Only an example whose prompt stands once in the file and whose answer's shape stays among the rest is put aside,
    so the figure is held-out in truth. Small files are left whole.
    """
    if len(examples) < _LEAST_TO_HOLD_OUT:
        return examples, []
    prompts = Counter(_prompt_key(example) for example in examples)
    copied = _copied(examples)
    if plan_of([(question(one.prompt), one.answer) for one in examples], copied) is not None:
        shapes = [""] * len(examples)  # no shape need stay, for none is learnt
    else:
        shapes = [one.key for one in _shapes(examples, copied, _rare(examples))]
    left = Counter(shapes)
    wanted = min(int(len(examples) * _HELD_OUT_SHARE), _MOST_HELD_OUT)
    order = list(range(len(examples)))
    random.Random(seed).shuffle(order)  # noqa: S311 - a split, no secret
    aside: set[int] = set()
    for place in order:
        example = examples[place]
        if len(aside) < wanted and left[shapes[place]] > 1 and prompts[_prompt_key(example)] == 1:
            left[shapes[place]] -= 1
            aside.add(place)
    kept = [example for place, example in enumerate(examples) if place not in aside]
    return kept, [examples[place] for place in sorted(aside)]


def _prompt_key(example: ChatExample) -> str:
    return "\n".join(" ".join(words(text_of(message.get("content")))) for message in example.prompt)


@dataclass(frozen=True)
class Lessons:
    """What there is to learn.

    Attributes:
        train: For the softmax: features of a prompt, and the key of its answer's shape.
        held_out: The same of the examples put aside.
        gaps: For the pointer: a gap, the question, and the pieces of it that are right there.
        calls: For calling by a schema: every call of a function whose parameters are described.
        plan: Of answers in parts; None where they are learnt as wholes.
        parts: With a plan, in place of `train`: features, and the labels of the answer.
        parts_held_out: The same of the examples put aside.
    """

    train: list[Example]
    held_out: list[Example]
    gaps: list[tuple[Slot, str, frozenset[Span]]]
    calls: list[CallLesson]
    plan: Plan | None = None
    parts: list[LabelExample] = field(default_factory=list)
    parts_held_out: list[LabelExample] = field(default_factory=list)


def lessons(train: Sequence[ChatExample], held_out: Sequence[ChatExample]) -> Lessons:
    """Turn examples into what the model's two parts learn from."""
    copied = _copied(train)
    plan = plan_of([(question(one.prompt), one.answer) for one in train], copied)
    if plan is not None:
        return _in_parts(plan, train, held_out, copied)
    rare = _rare(train)
    cut, aside = _shapes(train, copied, rare), _shapes(held_out, copied, rare)
    gaps = [
        (slot, question(example.prompt), right)
        for example, shaped in zip(train, cut, strict=True)
        for slot, right in shaped.gaps
    ]
    return Lessons(
        [(features(one.prompt), shaped.key) for one, shaped in zip(train, cut, strict=True)],
        [(features(one.prompt), shaped.key) for one, shaped in zip(held_out, aside, strict=True)],
        gaps,
        [lesson for one in train for lesson in _calls(one)],
    )


def _in_parts(
    plan: Plan, train: Sequence[ChatExample], held_out: Sequence[ChatExample], copied: frozenset[str]
) -> Lessons:
    def labelled(examples: Sequence[ChatExample]) -> list[LabelExample]:
        return [
            (features_of_parts(one.prompt), labels_of(plan, question(one.prompt), one.answer, copied))
            for one in examples
        ]

    texts = [(question(one.prompt), one.answer) for one in train]
    gaps = [(slot, text, right) for text, answer in texts for slot, right in gaps_of(text, answer, copied)]
    return Lessons([], [], gaps, [], plan, labelled(train), labelled(held_out))


def _copied(examples: Sequence[ChatExample]) -> frozenset[str]:
    return copied_paths([(question(example.prompt), example.answer) for example in examples])


def _rare(examples: Sequence[ChatExample]) -> frozenset[str]:
    """Name the functions with a schema that stand in too few examples to be known by them."""
    found: Counter[str] = Counter()
    for one in examples:
        found.update({call.name for call, _ in _described(one)})
    return frozenset(name for name, times in found.items() if times < _KNOWN_FROM)


def _shapes(examples: Sequence[ChatExample], copied: frozenset[str], rare: frozenset[str]) -> list[Shaped]:
    return [
        Shaped(BY_SCHEMA, ())
        if not isinstance(one.answer, str) and len(one.answer) == 1 and one.answer[0].name in rare
        else shape(question(one.prompt), one.answer, copied)
        for one in examples
    ]


def _described(example: ChatExample) -> list[tuple[Call, Tool]]:
    """Give the calls of an answer whose functions' parameters are described."""
    if isinstance(example.answer, str):
        return []
    found = [(call, example.wanted.tools.get(call.name)) for call in example.answer]
    return [(call, tool) for call, tool in found if tool is not None and tool.parameters.get("properties")]


def _calls(example: ChatExample) -> Iterator[CallLesson]:
    for call, tool in _described(example):
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            continue
        if isinstance(arguments, dict):
            yield question(example.prompt), tool, list(example.wanted.tools.values()), arguments


def settings_for(job: Job, examples: int) -> Settings:
    """Choose the hyperparameters: the job's own, and for "auto" what suits the size of the file."""
    usual = Settings(batch=4 if examples < 4_000 else 8)  # noqa: PLR2004 - fewer, larger steps
    chosen = {name: value for name, value in job.hyperparameters.items() if value != "auto"}
    return replace(
        usual,
        epochs=int(chosen.get("n_epochs", usual.epochs)),
        batch=int(chosen.get("batch_size", usual.batch)),
        rate=float(chosen.get("learning_rate_multiplier", usual.rate)),
        seed=job.seed,
    )


def model_name(job: Job) -> str:
    """Make up the name of a job's model: ``ft:<base>:lab:<suffix>:<8 letters>``."""
    letters = string.ascii_letters + string.digits
    suffix = (job.suffix or "").strip().replace(" ", "-").lower()
    return f"ft:{job.model}:lab:{suffix}:{''.join(secrets.choice(letters) for _ in range(8))}"
