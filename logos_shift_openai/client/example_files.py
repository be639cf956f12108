"""The files of examples that candidates without training need: read once, in a thread of our own.

Its rule: a call only looks whether an index is here. A file is taken from the home folder, else from the server, and
only if its content is what its name says; the one from the server is kept in the home folder.
"""

from __future__ import annotations

import contextlib
import logging
from typing import TYPE_CHECKING, Final

from logos_shift_openai.client.periodic import Periodic
from logos_shift_openai.client.wire import WireError
from logos_shift_openai.core.examples import MAX_BYTES, BadIndexError, read_index
from logos_shift_openai.core.home import EXAMPLES

if TYPE_CHECKING:
    from collections.abc import Collection
    from pathlib import Path
    from typing import Protocol

    from logos_shift_openai.client.counters import Counters
    from logos_shift_openai.core.examples import ExampleIndex

    class ExamplesWire(Protocol):
        """What is asked of a `Wire`."""

        def get_examples(self, name: str, timeout: float, most: int) -> bytes: ...  # noqa: D102


_SECONDS: Final = 60.0
_FIRST_WAIT: Final = 2.0
_LAST_WAIT: Final = 300.0
_logger = logging.getLogger("logos_shift_openai")


class ExampleFiles:
    """See the module.

    Args:
        home: The home folder.
        wire: The server, None where there is none.
        counters: Where faults are counted.
    """

    def __init__(self, home: Path, wire: ExamplesWire | None, counters: Counters) -> None:
        self._folder = home / EXAMPLES
        self._wire = wire
        self._counters = counters
        self._wanted: frozenset[str] = frozenset()
        self._loaded: dict[str, ExampleIndex] = {}
        self._failures = 0
        self.thread = Periodic("logos-shift-examples", self.step, count=counters.add)

    def get(self, name: str) -> ExampleIndex | None:
        """Give an index if it is here."""
        return self._loaded.get(name)

    def want(self, names: Collection[str]) -> None:
        """Hear which files the config in force speaks of; those that it no longer does are let go."""
        self._wanted = frozenset(names)
        self._failures = 0
        self.thread.wake()

    def start(self) -> None:
        """Begin reading, if there is anything to read; cheap when it runs already."""
        if self._wanted:
            self.thread.start()

    def stop(self, timeout: float) -> None:
        """Read no more; wait for the thread at most `timeout` seconds."""
        self.thread.stop(timeout)

    def step(self) -> float | None:
        """Read what is wanted and not here; gives the seconds to the next try, None where all is here."""
        wanted = self._wanted
        loaded = {name: index for name, index in self._loaded.items() if name in wanted}
        missing = False
        for name in wanted:
            if name not in loaded:
                index = self._read(name)
                if index is None:
                    missing = True
                else:
                    loaded[name] = index
        self._loaded = loaded
        if not missing:
            return None
        self._failures += 1
        return min(_LAST_WAIT, _FIRST_WAIT * 2.0 ** min(self._failures - 1, 8))

    def _read(self, name: str) -> ExampleIndex | None:
        path = self._folder / f"{name}.jsonl"
        with contextlib.suppress(OSError, BadIndexError):  # not here yet, or cut off while it was written
            if path.stat().st_size <= MAX_BYTES:
                return read_index(path.read_bytes(), name)
        if self._wire is None:
            self._failed(name, "it is not in the home folder")
            return None
        try:
            content = self._wire.get_examples(name, _SECONDS, MAX_BYTES)
            index = read_index(content, name)
        except (WireError, BadIndexError) as error:
            self._failed(name, str(error))
            return None
        with contextlib.suppress(OSError):  # a home that cannot be written: fetched again by the next process
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            fresh = path.with_suffix(".new")
            fresh.write_bytes(content)
            fresh.replace(path)
        return index

    def _failed(self, name: str, why: str) -> None:
        self._counters.add("examples_failed")
        said = "the examples %s cannot be had (%s): their candidate's calls go to the baseline"
        self._counters.say_once(_logger, f"examples:{name}", said, name[:12], why)
