"""Editions in the dialects of others, and any file held against a dialect or split: line by line, in little memory."""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, BinaryIO, Final, NamedTuple

from logos_shift_openai.core.dialect_writing import CannotWriteError, written
from logos_shift_openai.core.dialects import LONGEST_LINE, Dialect, line_faults
from logos_shift_openai.core.fingerprint import conversation_hash

from .choosing import BASIS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

_MARK: Final = b"\xef\xbb\xbf"  # some editors begin a file with it
_PAIR: Final = b'{"input"'
_PARTED: Final = 1 << 20


class LineFault(NamedTuple):
    """A fault of a file: the line, from 1 on (0 for the file itself), the path in it, and what is wrong."""

    line: int
    path: str
    what: str

    def __str__(self) -> str:
        return f"line {self.line}: {self.path + ' ' if self.path else ''}{self.what}" if self.line else self.what


@dataclass(slots=True)
class Exported:
    """What came of an export: lines written, and those that the dialect cannot hold, with the last reason."""

    written: int = 0
    left_out: int = 0
    why: str = ""


def file_faults(
    file: BinaryIO, dialect: Dialect, counted: Callable[[int], None] = lambda _rows: None
) -> Iterator[LineFault]:
    """Name the faults of a file as it is read.

    Args:
        file: JSON lines.
        dialect: What it is to be.
        counted: Called at the end with the number of rows.
    """
    rows = 0
    for number, line in numbered(file):
        if not line.strip():
            yield LineFault(number, "", "is empty")
            continue
        rows += 1
        for path, what in line_faults(line, dialect):
            yield LineFault(number, path, what)
    if rows < dialect.least:
        yield LineFault(0, "", f"the file has {rows} rows; {dialect.name} takes {dialect.least} at least")
    counted(rows)


def numbered(file: BinaryIO) -> Iterator[tuple[int, bytes]]:
    """Give the lines of a file with their numbers; of one that is too long only its beginning is held."""
    number = 0
    while line := file.readline(LONGEST_LINE + 1):
        number += 1
        part = line
        while not part.endswith(b"\n") and (part := file.readline(_PARTED)):
            pass  # the rest of a line that is refused anyhow
        yield number, line.removeprefix(_MARK) if number == 1 else line


def exported(lines: Iterable[bytes], dialect: Dialect, result: Exported) -> Iterator[bytes]:
    """Give lines of an edition in a dialect.

    Args:
        lines: As they are in its files.
        dialect: The one wanted.
        result: Is filled in.
    """
    for line in lines:
        kind = "openai-preference" if line.startswith(_PAIR) else "openai-chat"
        if dialect.name == kind:  # as it lies there
            result.written += 1
            yield line
            continue
        try:
            said = written(json.loads(line), dialect)
        except CannotWriteError as error:
            result.left_out += 1
            result.why = str(error)
            continue
        result.written += 1
        yield json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode() + b"\n"


def lines_of(parts: Iterable[bytes]) -> Iterator[bytes]:
    """Put parts of a file together to its lines."""
    rest = b""
    for part in parts:
        *whole, rest = (rest + part).split(b"\n")
        yield from (line + b"\n" for line in whole)
    if rest:
        yield rest


def side_of(line: bytes, heldout: int) -> str | None:
    """Tell on which side of a split a line of any dialect belongs: `train` or `heldout`, None where it has no prompt.

    Args:
        line: One line.
        heldout: The held-out share in basis points.
    """
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    asked = value.get("input", value)
    messages = asked.get("messages", asked.get("prompt")) if isinstance(asked, dict) else None
    if not isinstance(messages, list):
        return None
    low = [_low(one) for one in messages if isinstance(one, dict)]
    found = conversation_hash({"messages": low})
    if found is None:
        return None
    return "heldout" if int(found, 16) % BASIS < heldout else "train"


def _low(message: dict[str, object]) -> dict[str, object]:
    """Keep of a message what the split goes by, letters made small."""
    content = message.get("content")
    if isinstance(content, list):
        content = "\n".join(str(part.get("text", "")) for part in content if isinstance(part, dict))
    return {"role": message.get("role"), "content": str(content or "").lower()}
