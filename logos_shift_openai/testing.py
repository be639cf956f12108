"""For tests of programs that use this package: see what would be recorded, without a server and without a trace.

with captured() as records:
    answer = my_program()
    assert records.calls()[0]["dataset"] == "support"
"""

from __future__ import annotations

import json
import os
import tempfile
import time
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterator

_FLUSH_SECONDS = 5.0


class Captured:
    """The records of one `captured()` block, as the dicts of wire format 1."""

    def __init__(self, home: Path) -> None:
        self._home = home

    def calls(self) -> list[dict[str, Any]]:
        """Give the calls that have ended so far, in the order they ended."""
        return self._lines("call")

    def feedback(self) -> list[dict[str, Any]]:
        """Give the feedback said so far."""
        return self._lines("feedback")

    def _lines(self, kind: str) -> list[dict[str, Any]]:
        from .client.logos_shift import LogosShift  # noqa: PLC0415 - light to import without the SDK

        LogosShift(home=self._home).flush(_FLUSH_SECONDS)
        paths = sorted(self._home.glob("spool/local/*/*.ndjson"))
        lines = [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]
        return [line for line in lines if line["kind"] == kind]


@contextmanager
def captured() -> Iterator[Captured]:
    """Send the records of every client made inside the block, with no other home given, to a folder that goes away.

    For the block every `LOGOS_SHIFT_…` variable is unset, but for `LOGOS_SHIFT_HOME`; clients made before it stay as
    they are.
    """
    from .client.runtime import close_home  # noqa: PLC0415 - light to import without the SDK

    before = {name: value for name, value in os.environ.items() if name.startswith("LOGOS_SHIFT_")}
    with tempfile.TemporaryDirectory(prefix="logos_shift_") as folder:
        home = Path(folder).resolve()
        _set_environ({"LOGOS_SHIFT_HOME": str(home)})
        try:
            yield Captured(home)
        finally:
            _set_environ(before)
            close_home(home, time.monotonic() + _FLUSH_SECONDS)


def _set_environ(values: dict[str, str]) -> None:
    for name in [name for name in os.environ if name.startswith("LOGOS_SHIFT_")]:
        del os.environ[name]
    os.environ.update(values)
