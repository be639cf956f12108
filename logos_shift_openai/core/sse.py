"""Server-sent events out of raw bytes, by the rules of the WHATWG HTML standard (section 9.2.6).

Rule: what a conforming reader would not dispatch is not an event: comments, events without data, and the last event as
long as the blank line behind it has not come.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


def segments(raw: bytes, *, begun: bool = False) -> list[bytes]:
    """Cut a stream into parts that can be read one by one, most of them a single event.

    Args:
        raw: the bytes, cut anywhere; lines end in LF, CR or CRLF.
        begun: whether they are the rest of a stream, from behind an event: a byte order mark means nothing there.

    Returns:
        The parts in order, with LF for every line end. Each but the last ends in a blank line.
    """
    if not begun:
        raw = raw.removeprefix(_BOM)
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    first, *others = raw.split(b"\n\ndata: ")
    if not others:
        return [first]
    last = others.pop()
    return [first + b"\n\n", *[b"data: %b\n\n" % part for part in others], b"data: " + last]


def is_single(segment: bytes) -> bool:
    """Say whether a part of a stream, as the network gave it, is no more and no less than one block of lines."""
    end = segment.find(b"\n\n")
    return end >= 0 and end == len(segment) - 2 and b"\r" not in segment and not segment.startswith(_BOM)


def events(segment: bytes) -> list[tuple[str, str]]:
    """Read the events of a part.

    Args:
        segment: one of `segments`; bytes that are no UTF-8 become U+FFFD.

    Returns:
        Name and data of each, the name empty where the stream gave none, the data lines joined by line ends.
    """
    *blocks, _unfinished = segment.decode("utf-8", "replace").split("\n\n")
    return [event for event in map(_event, blocks) if event is not None]


def _event(block: str) -> tuple[str, str] | None:
    if block.startswith("data: ") and "\n" not in block:
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
