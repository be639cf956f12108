"""Server-sent events out of raw bytes, by the rules of the WHATWG HTML standard (section 9.2.6).

Rule: what a conforming reader would not dispatch is not an event: comments, events without data, and the last event as
long as the blank line behind it has not come.
"""

from __future__ import annotations

from typing import NamedTuple

_BOM = b"\xef\xbb\xbf"


class Events(NamedTuple):
    """The events of a stream, in order.

    Args:
        datas: The data lines of each, joined by line ends.
        names: The name of each, empty where the stream gave none; None where it gave none to any.
    """

    datas: list[str]
    names: list[str] | None = None


def events(raw: bytes) -> Events:
    """Read a stream as far as it has come.

    Args:
        raw: the bytes, cut anywhere; lines end in LF, CR or CRLF; bytes that are no UTF-8 become U+FFFD.
    """
    raw = raw.removeprefix(_BOM)
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = raw.decode("utf-8", "replace")
    plain = text[: max(0, text.rfind("\n\n"))]
    if plain.startswith("data: "):
        datas = plain[6:].split("\n\ndata: ")
        if plain.count("\n") == 2 * (len(datas) - 1):  # a line of data each
            return Events(datas)
    *blocks, _unfinished = text.split("\n\n")
    found = [event for event in map(_event, blocks) if event is not None]
    names = [name for name, _ in found]
    return Events([data for _, data in found], names if any(names) else None)


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
