"""Whether a rollout waits for something that will not come by itself: feedback, a dense metric, somebody's hand."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNITS: Final = 50
"""So many units without one score, and it is more than a slow start."""
_UNMEASURED: Final = ("is missing from the policy", "nothing has been measured yet")
_OPEN: Final = ("ramping", "shadow")


def rollouts(on: Machine) -> Iterator[Finding]:
    """Look at the rollouts of the embedded store."""
    from logos_shift_openai.server.rollout_reading import list_rollouts  # noqa: PLC0415
    from logos_shift_openai.server.rollout_view import rollout_json  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    if on.config is None or on.url or not on.place.store_path.exists():
        return
    try:
        store = on.place.open_store()
    except StoreError:
        return  # which has been said
    try:
        with store.reading() as connection:
            for one in list_rollouts(connection):
                yield from held(rollout_json(connection, one, on.config))
    finally:
        store.close()


def held(one: dict[str, Any]) -> Iterator[Finding]:
    """Say what a rollout waits for.

    Args:
        one: As `server.rollout_view.rollout_json` gives it, here or over HTTP.
    """
    key = one["experiment"]
    if one["state"].get("alarm"):
        cure = f"find out why, then: logos-shift rollout resume {key}"
        yield Finding("rollout", "broken", f"rollout {key}: {one['why']}", cure)
    elif one["phase"] in _OPEN:
        metrics = {found["metric"]: found["units"] for found in (one["look"] or {"metrics": []})["metrics"]}
        if metrics.get("success") == 0 and max(metrics.values()) >= _UNITS:
            what = f"rollout {key}: no feedback came for {max(metrics.values())} units, and it is about success"
            cure = 'provide_feedback(answer.logos_shift_id, "success") in the program, or another primary metric'
            yield Finding("rollout", "warning", what, cure)
        elif any(words in one["why"] for words in _UNMEASURED):
            cure = "add a guardrail that every call has, such as valid or regenerated, to its policy (docs/rollout.md)"
            yield Finding("rollout", "warning", f"rollout {key}: {one['why']}", cure)
    for said in one.get("warnings", ()):
        yield Finding("rollout", "warning", f"rollout {key}: {said}", "logos-shift experiment list")
