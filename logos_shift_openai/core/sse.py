"""Server-sent events out of raw bytes, by the rules of the WHATWG HTML standard (section 9.2.6).

Rule: what a conforming reader would not dispatch is not an event: comments, events without data, and the last event as
long as the blank line behind it has not come.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_BOM = b"\xef\xbb\xbf"
GLUE = b"\n\ndata: "
"""What stands between two events of nothing but a line of data each."""


def parts(raw: bytes) -> list[bytes]:
    """Cut a stream where an event ends and the next begins with its data.

    Args:
        raw: the bytes, cut anywhere; lines end in LF, CR or CRLF.

    Returns:
        What stands before the first such place and between each two, with LF for every line end; most often nothing
        first, and from then on the data of one event.
    """
    raw = raw.removeprefix(_BOM)
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    return (b"\n\n" + raw).split(GLUE)


def events(cut: Sequence[bytes], at: int) -> list[tuple[str, str]]:
    """Read the events of a part.

    Args:
        cut: the `parts` of a stream.
        at: index of the part. Bytes that are no UTF-8 become U+FFFD.

    Returns:
        Name and data of each, the name empty where the stream gave none, the data lines joined by line ends.
    """
    text = cut[at].decode("utf-8", "replace")
    if at:
        text = f"data: {text}"
    *blocks, unfinished = text.split("\n\n")
    if at < len(cut) - 1:
        blocks.append(unfinished)
    return [event for event in map(_event, blocks) if event is not None]


def _event(block: str) -> tuple[str, str] | None:
    if block.startswith("data: ") and "\n" not in block and len(block) > len("data: "):
        return "", block[6:]
    name = ""
    data: list[str] = []
    for line in block.split("\n"):
        field, _, value = line.partition(":")
        value = value.removeprefix(" ")
        if field == "data":
            data.append(value)
        elif field == "event":
            name = value
    return (name, "\n".join(data)) if any(data) else None
