"""The manifest: what an edition is, how it came about, what it may cost; and what to think of before training on it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .files import HELDOUT, TRAIN

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .choosing import Choice
    from .files import Files
    from .sifting import Counts

FORMAT: Final = 1
_LETTERS_A_TOKEN: Final = 4
_FINGERPRINTS: Final = 1_000
_LEAST_ROWS: Final = 10
_FEW: Final = 2


def manifest_of(
    choice: Choice, prune: tuple[str, ...], counts: Counts, redacted: Mapping[str, int], files: Files
) -> dict[str, Any]:
    """Make the manifest; nothing of time or place is in it.

    Args:
        choice: The rules.
        prune: System texts that were left out.
        counts: What came of the calls.
        redacted: How often each redaction rule replaced something.
        files: What was written.
    """
    most = sorted(counts.fingerprints.items(), key=lambda one: (-one[1], one[0]))
    return {
        "format": FORMAT,
        "kind": choice.kind,
        "dialect": "openai-chat" if choice.kind == "chat" else "openai-preference",
        "dataset": choice.dataset,
        "choice": choice.said(),
        "prune": list(prune),
        "files": files.said(),
        "counts": {
            "read": counts.read,
            "train": files.rows(TRAIN),
            "heldout": files.rows(HELDOUT),
            "corrected": counts.corrected,
            "left_out": dict(sorted(counts.left_out.items())),
            "redacted": dict(sorted(redacted.items())),
        },
        "models": dict(sorted(counts.models.items())),
        "fingerprints": dict(sorted(one for one in most[:_FINGERPRINTS] if one[0])),
        "fingerprints_beyond": max(0, len(most) - _FINGERPRINTS),
        "answers": {
            "distinct": len(counts.answers),
            "fewest_rows": min(counts.answers.values(), default=0),
            "most_rows": max(counts.answers.values(), default=0),
        },
        "estimate": _estimate(choice, counts, files),
        "warnings": warnings(choice, counts, files),
    }


def warnings(choice: Choice, counts: Counts, files: Files) -> list[str]:
    """Say what to think of before training on it."""
    said = []
    if files.rows(TRAIN) < _LEAST_ROWS:
        said.append(f"{files.rows(TRAIN)} rows to train on; OpenAI takes no file with fewer than {_LEAST_ROWS}")
    if choice.heldout and not files.rows(HELDOUT):
        said.append("nothing is held out: what a candidate has learnt cannot be measured; record more calls")
    if choice.kind == "chat" and len(counts.answers) < _FEW:
        said.append("every answer is the same: there is nothing to tell apart")
    if counts.fingerprints[""] < sum(counts.fingerprints.values()) and len(counts.fingerprints) > _LEAST_ROWS:
        said.append(f"{len(counts.fingerprints)} different prompts of the program; choose one with --fingerprint")
    return said


def _estimate(choice: Choice, counts: Counts, files: Files) -> dict[str, Any]:
    rows = files.rows(TRAIN) + files.rows(HELDOUT)
    tokens = round(counts.letters / _LETTERS_A_TOKEN * files.rows(TRAIN) / rows)
    cost = None if choice.price is None else round(tokens * choice.epochs * choice.price / 1e6, 4)
    how = f"an estimate: a token for {_LETTERS_A_TOKEN} letters of the training part"
    return {"how": how, "tokens": tokens, "epochs": choice.epochs, "price_per_million": choice.price, "cost": cost}
