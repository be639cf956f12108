"""Whether the embedded store and the spool are in order, and whether records still come in."""

from __future__ import annotations

import hashlib
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from logos_shift_openai.cli.output import age

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from .finding import Level

_DAY_MS: Final = 86_400_000
_BUSY_CALLS: Final = 20
_LATE_MS: Final = 3_600_000


def store(on: Machine) -> Iterator[Finding]:
    """Open the embedded store, take the spool in, and tell what it has."""
    from logos_shift_openai.cli.session import take_spool_in  # noqa: PLC0415
    from logos_shift_openai.server.statistics import totals  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    place = on.place
    if not place.home.is_dir():
        return
    try:
        opened = place.open_store()
    except StoreError as error:
        yield Finding("store", "broken", str(error), "move the file away to begin with an empty store")
        return
    try:
        result = take_spool_in(opened, place)
        for fault in result.faults:
            yield Finding("spool", "broken", fault, "see to that folder, then run this again")
        with opened.reading() as connection:
            everything = totals(connection)
            week = _before_the_last(connection, everything.last_at)
    except StoreError as error:
        where = "the disk" if on.place.bodies_url is None else "the disk and the bucket"
        yield Finding("store", "broken", str(error), f"see to {where}; what was not taken in is still in the spool")
        return
    finally:
        opened.close()
    taken = f", {result.new:,} records taken in just now" if result.new else ""
    calls = f"{everything.calls:,} calls, {everything.feedback:,} feedback{taken}"
    yield Finding("store", "ok", calls)
    if everything.last_at is not None and on.now - everything.last_at > _DAY_MS and week >= _BUSY_CALLS:
        what = f"no call for {age(everything.last_at, on.now)}, after {week:,} in the seven days before"
        cure = (
            "look whether the program runs, uses our client, and has LOGOS_SHIFT_HOME, LOGOS_SHIFT_URL, "
            "LOGOS_SHIFT_ENABLED and LOGOS_SHIFT_LOGGING as here"
        )
        yield Finding("silence", "warning", what, cure)
    if everything.refused:
        lines = sum(everything.refused.values())
        by_part = ", ".join(f"{part} {count:,}" for part, count in everything.refused.items())
        cure = f"look into {place.home / 'spool' / 'local' / 'refused'}; the reasons stand beside the lines"
        yield Finding("refused", "warning", f"{lines:,} lines refused so far, by part: {by_part}", cure)


def _before_the_last(connection: Connection, last: int | None) -> int:
    """Count the calls of the seven days that ended with the last one."""
    from logos_shift_openai.server.statistics import variant_statistics  # noqa: PLC0415

    since = None if last is None else last - 7 * _DAY_MS
    return sum(one.calls for one in variant_statistics(connection, since=since))


def spool(on: Machine) -> Iterator[Finding]:
    """Look at what waits for a server."""
    from logos_shift_openai.server.spool_folders import LOCAL, REFUSED, waiting  # noqa: PLC0415

    mine = hashlib.sha256(on.url.encode()).hexdigest()[:16] if on.url else None
    for one in waiting(on.place.home, {}):
        refused = on.place.home / "spool" / one.destination / REFUSED
        if one.destination != LOCAL and refused.is_dir() and any(refused.iterdir()):
            cure = f"look into {refused}"
            yield Finding("refused", "warning", "the server refused records of this machine", cure)
        if one.destination == LOCAL or not one.records:
            continue
        what = f"{one.records:,} records ({one.size:,} bytes) wait for "
        since = _oldest(on.place.home / "spool" / one.destination)
        late = since is not None and on.now - since > _LATE_MS
        if one.destination == mine:
            cure = "they are sent as soon as it answers a process of yours" if one.orphans or late else ""
            level: Level = "warning" if one.orphans or late else "ok"
            if since is not None and late:
                what = (
                    f"{one.records:,} records ({one.size:,} bytes), the oldest of {age(since, on.now)} ago, wait for "
                )
            left = f"; {len(one.orphans)} of {one.owners} folders have no process" if one.orphans else ""
            yield Finding("spool", level, f"{what}{on.url}{left}", cure)
        else:
            cure = (
                "run a client with the LOGOS_SHIFT_URL they were recorded for, or remove "
                f"{on.place.home / 'spool' / one.destination}"
            )
            yield Finding("spool", "warning", f"{what}a server that is not set here", cure)


def _oldest(destination: Path) -> int | None:
    """Tell when the oldest segment was last written to, milliseconds since 1970."""
    from logos_shift_openai.server.spool_folders import owner_folders, segments  # noqa: PLC0415

    times = []
    for folder in owner_folders(destination):
        for segment in segments(folder):
            with suppress(OSError):  # sent in the meantime
                times.append(segment.stat())
    return min((int(one.st_mtime * 1000) for one in times if one.st_size), default=None)
