"""What an edition is made of: the choice, an immutable value that stands in the manifest and decides every byte.

Rule: everything that changes an edition is in here, and nothing that does not; so the same choice over the same calls
is the same edition.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from typing import Any, Final, Literal

from logos_shift_openai.core.redaction import Redaction
from logos_shift_openai.core.redaction_rules import RULES

Kind = Literal["chat", "preference"]
FeedbackAsked = Literal["unfailed", "success", "any"]
Answers = Literal["baseline", "any"]

BASIS: Final = 10_000
_MAX_BYTES: Final = 256 * 1024


class EditionError(Exception):
    """There can be no such edition; the message says why and what can be done."""


@dataclass(frozen=True, slots=True)
class Choice:
    """See the module.

    Args:
        since: Begun at or after, milliseconds since 1970; `until` before.
        model: The requested model.
        feedback: `unfailed` leaves failures out, `success` wants a success, `any` does not look. A corrected call is
            good in any case.
        conversation: Whether the latest score given in a conversation counts for its calls without one.
        metadata: Names with the values that calls must have.
        fingerprint: Of the prompt, `core.fingerprint.prompt_fingerprint`.
        answers: `baseline` leaves out what a candidate answered.
        heldout: The held-out part of the conversations, in basis points.
        per_answer: So many examples with the same answer at most.
        limit: So many examples at most.
        max_bytes: A line may be so long.
        near: Likeness in (0, 1] from which a text counts as a near duplicate; None looks for none.
        prune: System texts that are left out; the candidate's calls must leave them out as well.
        prune_constant: Whether to find those texts: see `pruning`.
        redaction: Names of the built-in rules to apply again.
        price: Dollars for a million training tokens, for the estimate.
        epochs: Passes over the training part, for the estimate.
    """

    dataset: str
    kind: Kind = "chat"
    since: int | None = None
    until: int | None = None
    model: str | None = None
    feedback: FeedbackAsked = "unfailed"
    conversation: bool = False
    metadata: dict[str, Any] = field(default_factory=dict)
    fingerprint: str | None = None
    answers: Answers = "baseline"
    heldout: int = 1_000
    per_answer: int | None = None
    limit: int | None = None
    max_bytes: int = _MAX_BYTES
    near: float | None = None
    prune: tuple[str, ...] = ()
    prune_constant: bool = False
    redaction: tuple[str, ...] = RULES
    price: float | None = None
    epochs: int = 1

    def __post_init__(self) -> None:
        """Refuse what cannot be meant.

        Raises:
            EditionError: a part is out of its range; the message names it.
        """
        if not self.dataset or "\0" in self.dataset:
            raise EditionError("dataset: there is none of that name")
        if not 0 <= self.heldout < BASIS:
            raise EditionError(f"heldout: {self.heldout} basis points are not in 0..9,999")
        if self.near is not None and not 0 < self.near <= 1:
            raise EditionError(f"near: {self.near} is not in (0, 1]")
        for name in ("per_answer", "limit", "max_bytes", "epochs"):
            value = getattr(self, name)
            if value is not None and value < 1:
                raise EditionError(f"{name}: {value} is less than 1")
        try:
            Redaction.build(self.redaction)
        except ValueError as error:
            raise EditionError(f"redaction: {error}") from None

    def said(self) -> dict[str, Any]:
        """Give it as values for JSON."""
        return {**asdict(self), "prune": list(self.prune), "redaction": list(self.redaction)}
