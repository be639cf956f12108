"""Lines that wait in memory while a spool's folder cannot be written, bounded in bytes.

Its rule: a line that was handed out to be sent takes room until it is done. Whoever owns it locks: the spool, with its
one lock; `size` alone may be read without.
"""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from logos_shift_openai.client.segments import Segment, lines_of

if TYPE_CHECKING:
    from collections.abc import Iterable


class WaitingLines:
    """The lines in memory, oldest first.

    Args:
        bound: the most bytes that they take.
        segment_bytes: so many are handed out in one go, or one longer line.
    """

    def __init__(self, bound: int, segment_bytes: int) -> None:
        self.size = 0
        """Bytes of what waits and of what was handed out."""
        self._bound = bound
        self._segment_bytes = segment_bytes
        self._lines: deque[bytes] = deque()
        self._taken: Segment | None = None  # what is being sent

    def __bool__(self) -> bool:
        return bool(self._lines)

    @property
    def taken(self) -> Segment | None:
        """What was handed out and is not done yet."""
        return self._taken

    def add(self, lines: Iterable[bytes]) -> int:
        """Keep the lines that fit; return how many do not."""
        dropped = 0
        for line in lines:
            if self.size + len(line) > self._bound:
                dropped += 1
            else:
                self._lines.append(line)
                self.size += len(line)
        return dropped

    def clear(self) -> list[bytes]:
        """Give all lines that wait away, to be kept elsewhere; what was handed out stays."""
        lines = list(self._lines)
        self._lines.clear()
        self.size = self._taken.size if self._taken is not None else 0
        return lines

    def take(self) -> Segment | None:
        """Hand lines out to be sent, None if there are none; nothing may be out already."""
        lines: list[bytes] = []
        size = 0
        while self._lines and (not lines or size + len(self._lines[0]) <= self._segment_bytes):
            line = self._lines.popleft()
            lines.append(line)
            size += len(line)
        if lines:
            self._taken = Segment(None, b"".join(lines), size)
        return self._taken

    def done(self, segment: Segment) -> None:
        """Let go of what was handed out: it is sent, or set aside."""
        self._taken = None
        self.size -= segment.size

    def put_back(self) -> None:
        """Put what was handed out before the others again: sending it was not seen to end."""
        if self._taken is not None:
            self._lines.extendleft(reversed(lines_of(self._taken.data)))
            self._taken = None
