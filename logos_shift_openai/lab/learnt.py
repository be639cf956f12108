"""The tuned model: a softmax over the shapes of the answers it was shown, and a pointer that fills their gaps.

Owns the parts together and their stored form. It says what it has seen, with the question's own words and
numbers in the gaps; a text that it was never shown, or an argument that is not in the question, it cannot say. A
function that it hardly knows is called by its schema (``arguments``).
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple, TypeAlias

from .answers import Answer, same
from .arguments import Arguments
from .composed import ComposedModel, composed_from_json
from .features import features, question
from .odds import Odds
from .pointer import Pointer
from .shapes import BY_SCHEMA, filled, names_of, slots_of
from .softmax import SoftmaxModel, model_from_json
from .wanted import ANYTHING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .chat_file import ChatExample
    from .features import Message
    from .wanted import Wanted

_WRITTEN_OUT = 8  # shapes with gaps that are filled; the likelihood of the others is kept, unsaid


class Exact(NamedTuple):
    """How many answers were given exactly as they should be, and of how many."""

    right: int
    rows: int


@dataclass(frozen=True)
class LearntModel:
    """One tuned model; immutable, so any thread may ask it.

    Attributes:
        shapes: Which shape; its answers are keys of ``shapes``.
        pointer: What goes into the gaps.
        arguments: How a function is called by its schema.
    """

    shapes: SoftmaxModel
    pointer: Pointer = field(default_factory=Pointer)
    arguments: Arguments = field(default_factory=Arguments)

    def odds(self, messages: Sequence[Message], wanted: Wanted = ANYTHING) -> Odds | None:
        """Judge a conversation; None where nothing that it can say is wanted.

        The probability of an answer is that of its shape times that of the pieces in its gaps. Shapes beyond the
        likeliest few are not written out, and the probabilities then add up to less than 1.
        """
        text = question(messages)
        found: dict[Answer, float] = {}
        total, written = 0.0, 0
        judged = zip(self.shapes.answers, self.shapes.probabilities(features(messages)), strict=True)
        for key, probability in sorted(judged, key=lambda one: -one[1]):
            if key == BY_SCHEMA:
                made_up = self.made_up(text, wanted)
                total += probability if made_up else 0.0
                for answer, p in made_up:
                    found[answer] = found.get(answer, 0.0) + probability * p
                continue
            if not wanted.offers(names_of(key)):
                continue
            total += probability
            slots = slots_of(key)
            if slots and written >= _WRITTEN_OUT:
                continue
            written += bool(slots)
            for filling in self.pointer.fillings(slots, text):
                answer = filled(key, filling.spans)
                if not wanted.fits(answer):
                    continue
                found[answer] = found.get(answer, 0.0) + probability * filling.probability
        if not found:
            return None
        order = sorted(found, key=lambda answer: -found[answer])
        return wanted.narrow(Odds(order, [found[answer] / total for answer in order]))

    def made_up(self, text: str, wanted: Wanted) -> list[tuple[Answer, float]]:
        """Call the functions on offer that it has no shapes of, by their schemas; none where it never learnt how."""
        known = {name for key in self.shapes.answers for name in names_of(key)}
        tools = [tool for name, tool in wanted.tools.items() if name not in known]
        if not self.arguments.weights:
            return []
        found: list[tuple[Answer, float]] = [((call,), p) for call, p in self.arguments.calls(text, tools)]
        return [(answer, p) for answer, p in found if wanted.fits(answer)]

    @property
    def calls(self) -> bool:
        """Whether it was taught any call."""
        return any(key == BY_SCHEMA or names_of(key) for key in self.shapes.answers)

    def to_json(self) -> dict[str, object]:
        """Describe the model as JSON."""
        return {**self.shapes.to_json(), "pointer": dict(self.pointer.weights), **_named(self.arguments)}


Learnt: TypeAlias = "LearntModel | ComposedModel"
"""What a tuning job makes."""


def exact(model: Learnt, examples: Iterable[ChatExample]) -> Exact:
    """Count the examples that are answered exactly: a text to the letter, JSON and arguments by their values."""
    answered = [(model.odds(one.prompt, one.wanted), one.answer) for one in examples]
    right = sum(odds is not None and same(odds.best(), answer) for odds, answer in answered)
    return Exact(right, len(answered))


def learnt_from_json(stored: dict[str, object]) -> Learnt:
    """Read what ``to_json`` wrote; a model without a pointer is one of before there were gaps.

    Raises:
        ValueError: Another format, or parts that do not fit together.
    """
    if "plan" in stored:
        return composed_from_json(stored)
    pointer, arguments = (_weights(stored.get(part, {})) for part in ("pointer", "arguments"))
    return LearntModel(model_from_json(stored), Pointer(pointer), Arguments(arguments))


def _named(arguments: Arguments) -> dict[str, object]:
    return {"arguments": dict(arguments.weights)} if arguments.weights else {}


def _weights(stored: object) -> dict[str, float]:
    if not isinstance(stored, dict):
        raise ValueError("the weights are not an object")  # noqa: TRY004 - a bad file, not a bad call
    return {str(name): float(str(weight)) for name, weight in stored.items()}
