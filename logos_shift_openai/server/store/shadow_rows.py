"""The way of a shadow's record into its row: a call's head, without what only a caller's call has."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from msgspec import Struct

from .rows import bodies_of, head_of

if TYPE_CHECKING:
    from .rows import Head


class ShadowRow(Struct):
    """A shadow as it is inserted: the columns of `shadows` in their order, without what is compared later."""

    id: str
    shadow_of: str
    at: int
    received: int
    dataset: str
    experiment: str | None
    model: str | None
    provider: str | None
    duration_ms: float
    error_type: str | None
    error_message: str | None
    tokens_in: int | None
    tokens_out: int | None
    tokens_cached: int | None
    data: bytes


def shadow_row(shadow_of: str, head: Head, pack: bytes) -> ShadowRow:
    """Make the row of a shadow.

    Args:
        shadow_of: The call that was mirrored.
        head: Of the shadow's own record.
        pack: Its packed bodies, not compressed.
    """
    attempts: list[dict[str, Any]] = bodies_of(pack)["attempts"] or [{}]
    said = head_of({name: getattr(head, name) for name in head.__struct_fields__}, head.rest)
    return ShadowRow(
        head.id, shadow_of, head.at, head.received, head.dataset, head.experiment,
        attempts[-1].get("model"), attempts[-1].get("provider"), head.duration_ms,
        head.error_type, (said["error"] or {}).get("message"),
        head.tokens_in, head.tokens_out, head.tokens_cached, pack,
    )  # fmt: skip
