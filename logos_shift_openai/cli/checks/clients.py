"""Whether the processes that record lose records, and follow the config."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.losses import LOST

from .asking import ask
from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

_OK: Final = 200
_SHOWN: Final = 3
_CURES: Final = {
    "queue_full": "records come faster than one thread writes them: LOGOS_SHIFT_SAMPLE_RATE, or more processes",
    "spool_full": "see why the server does not take them, or give the spool more room: LOGOS_SHIFT_SPOOL_BYTES",
    "memory_full": "let LOGOS_SHIFT_HOME be a folder that can be written",
    "spool_failed": "let LOGOS_SHIFT_HOME be a folder that can be written",
    "encode_failed": 'look for "a record was left out" in the program\'s log: mostly its own redaction raises',
    "refused": "look into refused/ of the spool, where they are kept",
    "unreadable": "look into refused/ of the spool, where they are kept",
    "closed": "make calls before the end of the program, not after",
    "lost_at_exit": "call logos_shift.flush() before the program ends",
}


def clients(on: Machine) -> Iterator[Finding]:
    """Look at what the processes say of themselves: here, and at the server where the key may read it."""
    found = _at_server(on) if on.url else _at_home(on)
    if found is None or not found["known"]:
        return
    week = found["week"]["lost"]
    if week:
        parts = ", ".join(f"{reason} {count:,} ({LOST.get(reason, reason)})" for reason, count in week.items())
        most = max(week, key=lambda reason: int(week[reason]))
        what = f"clients lost {sum(week.values()):,} records in seven days: {parts}"
        yield Finding("losses", "warning", what, _CURES.get(most, "look at logos_shift.stats() in the program"))
    live = [one for one in found["processes"] if one["state"] in {"live", "stale"}]
    for one in live[: 10 * _SHOWN]:
        for said in one["warnings"]:
            if "config" in said:
                what = f"process {one['process'][:8]} (logos_shift_openai {one['version']}): {said}"
                cure = "see whether that process reaches the server, and whether its log says that a config was refused"
                yield Finding("clients", "warning", what, cure)
                break
    if not week:
        total = found["week"]["kept"]
        yield Finding("losses", "ok", f"none of {total:,} records in seven days, as {found['known']:,} processes say")


def _at_home(on: Machine) -> dict[str, Any] | None:
    from logos_shift_openai.server.clients import read_clients  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    if not on.place.store_path.exists():
        return None
    try:
        store = on.place.open_store()
    except StoreError:
        return None  # which has been said
    try:
        with store.reading() as connection:
            return asdict(read_clients(connection, on.now))
    finally:
        store.close()


def _at_server(on: Machine) -> dict[str, Any] | None:
    import requests  # noqa: PLC0415

    try:
        answer = ask(f"{on.url}/v1/clients", on.said("LOGOS_SHIFT_API_KEY"))
        found = answer.json() if answer.status_code == _OK else None
    except (requests.RequestException, UnicodeError, ValueError):
        return None  # the check of the server has said it
    shaped = isinstance(found, dict) and {"known", "week", "processes"} <= set(found)
    return found if shaped else None
