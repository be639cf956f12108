"""Take in what processes without a server said of themselves: the files in `clients/` of a home folder.

A file is one process's last report, written whole or not at all. It is removed when its process has ended or was not
heard of for a week; what is no report is left alone until then.
"""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Final

from .client_report import BYTES_MAX, read_report
from .clients import DAY_MS, FORGOTTEN_DAYS, last_sequences, take_report

if TYPE_CHECKING:
    from pathlib import Path

    from .client_report import ClientReport
    from .store.database import Store

FOLDER: Final = "clients"
_PART: Final = 200


def take_reports(store: Store, home: Path, now: int) -> None:
    """Take in the reports that are new.

    Args:
        store: Where they go.
        home: The home folder.
        now: Milliseconds since 1970.

    Raises:
        StoreError: the store cannot be written; the files stay.
        OSError: the folder cannot be read.
    """
    found: list[tuple[ClientReport, int]] = []
    past: list[Path] = []
    try:
        paths = sorted((home / FOLDER).glob("*.json"))
    except FileNotFoundError:
        return
    if not paths:
        return
    with store.reading() as connection:
        known = last_sequences(connection)
    for path in paths:
        with suppress(OSError):  # its process replaces it, or another command has removed it
            stat = path.stat()
            written = min(now, int(stat.st_mtime * 1000))
            report = _read(path) if stat.st_size <= BYTES_MAX else None
            if report is not None and report.sequence > known.get(report.process, 0):
                found.append((report, written))
            if (report is not None and report.ended) or now - written > FORGOTTEN_DAYS * DAY_MS:
                past.append(path)
    for start in range(0, len(found), _PART):
        with store.writing() as connection:
            for report, written in found[start : start + _PART]:
                take_report(connection, report, written, "home", None)
    for path in past:
        with suppress(OSError):
            path.unlink(missing_ok=True)


def _read(path: Path) -> ClientReport | None:
    try:
        return read_report(path.read_bytes())
    except (ValueError, RecursionError):
        return None
