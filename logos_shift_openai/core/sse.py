"""Server-sent events out of raw bytes, by the rules of the WHATWG HTML standard (section 9.2.6).

Rule: what a conforming reader would not dispatch is not an event: comments, events without data, and the last event as
long as the blank line behind it has not come.
"""

from __future__ import annotations

_BOM = b"\xef\xbb\xbf"


def events(raw: bytes) -> list[tuple[str, str]]:
    """Read a stream as far as it has come.

    Args:
        raw: the bytes, cut anywhere; lines end in LF, CR or CRLF; bytes that are no UTF-8 become U+FFFD.

    Returns:
        The events in order: the name of each, empty where the stream gave none, and its data lines joined by line ends.
    """
    raw = raw.removeprefix(_BOM)
    if b"\r" in raw:
        raw = raw.replace(b"\r\n", b"\n").replace(b"\r", b"\n")
    text = raw.decode("utf-8", "replace")
    plain = text[: max(0, text.rfind("\n\n"))]
    if plain.startswith("data: "):
        datas = plain[6:].split("\n\ndata: ")
        if plain.count("\n") == 2 * (len(datas) - 1):  # a line of data each
            return [("", data) for data in datas]
    *blocks, _unfinished = text.split("\n\n")
    found: list[tuple[str, str]] = []
    for block in blocks:
        if block.startswith("data: ") and "\n" not in block:
            found.append(("", block[6:]))
        else:
            event = _event(block)
            if event is not None:
                found.append(event)
    return found


def _event(block: str) -> tuple[str, str] | None:
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
