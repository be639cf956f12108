"""The cap of a body: what is longer is cut where it hurts least, and every cut can be seen.

Theory of operation. First the longest texts are shortened to one common length, the largest with which the body fits:
a long document loses its tail before a short question loses a word. If texts of `SHORTEST` bytes still do not fit,
there are too many small values: then each container shares its room among its members in the same manner, small ones
whole, and lists and objects drop their tails. A marker stands wherever something is missing. The same body and limit
always give the same result, and it is never longer than the limit.
"""

from __future__ import annotations

from .json_text import Json, Number, Place, write_string

SMALLEST_LIMIT = 1024
"""The least limit, in bytes: room for the markers whatever the body."""

SHORTEST = 96
"""No text is cut to less than this many bytes while there is another way."""

_MARKER = 48
"""Room for one marker: more bytes than the longest one takes, quotes and comma included."""

_MOST_PATHS = 64


def cut_text(text: str, room: int) -> str:
    """Shorten a text so that it takes at most `room` bytes as a JSON string, its marker included.

    Args:
        text: the text.
        room: number of bytes, at least 48.

    Returns:
        The text itself where it fits, else its beginning and `…[truncated N bytes]`, N counting bytes of UTF-8.
    """
    if len(text) + 2 <= room and _size_of_text(text) <= room:
        return text
    low, high = 0, min(len(text), room)
    while low < high:  # the largest number of letters that fits
        middle = (low + high + 1) // 2
        if _size_of_text(text[:middle]) + _MARKER <= room:
            low = middle
        else:
            high = middle - 1
    lost = len(text[low:].encode("utf-8", "surrogatepass"))
    return f"{text[:low]}…[truncated {lost} bytes]"


class Cutter:
    """Cuts one tree to a limit and notes where."""

    def __init__(self, limit: int) -> None:
        """Take the limit.

        Args:
            limit: bytes of the written body.

        Raises:
            ValueError: the limit is too small to hold the markers.
        """
        if limit < SMALLEST_LIMIT:
            raise ValueError(f"limit: {limit} bytes is less than {SMALLEST_LIMIT}")
        self._limit = limit
        self._paths: list[str] = []
        self._more = 0
        self._sizes: dict[int, int] = {}

    @property
    def paths(self) -> tuple[str, ...]:
        """Where something was cut, in order; after 64 of them only their number."""
        return (*self._paths, f"…[{self._more} more]") if self._more else tuple(self._paths)

    def cut(self, value: Json, root: Place) -> Json:
        """Make a tree fit.

        Args:
            value: the tree.
            root: its place.

        Returns:
            A tree that takes at most `limit` bytes when written.
        """
        texts: list[int] = []
        total = self._measure(value, texts)
        if total <= self._limit:
            return value
        level = _level(texts, sum(texts) - (total - self._limit), SHORTEST)
        if level is not None:
            return self._shorten(value, root, level)
        return self._fit(value, root, self._limit)

    def _note(self, place: Place) -> None:
        if len(self._paths) < _MOST_PATHS:
            self._paths.append(str(place))
        else:
            self._more += 1

    def _measure(self, value: Json, texts: list[int]) -> int:
        """Give the bytes a tree takes, note them for each container, and collect those of its texts."""
        if isinstance(value, dict):
            size = 1 + len(value) + len(value)
            for key, member in value.items():
                size += _size_of_text(key) + self._measure(member, texts)
        elif isinstance(value, list):
            size = 1 + len(value)
            for item in value:
                size += self._measure(item, texts)
        else:
            size = _size_of_leaf(value)
            if isinstance(value, str) and not isinstance(value, Number):
                texts.append(size)
            return size
        size = max(size, 2)
        self._sizes[id(value)] = size
        return size

    def _size(self, value: Json) -> int:
        return self._sizes[id(value)] if isinstance(value, (dict, list)) else _size_of_leaf(value)

    def _shorten(self, value: Json, place: Place, level: int) -> Json:
        """Cut every text to the common length."""
        if isinstance(value, dict):
            return {key: self._shorten(member, Place(key, place), level) for key, member in value.items()}
        if isinstance(value, list):
            return [self._shorten(item, Place(index, place), level) for index, item in enumerate(value)]
        if isinstance(value, str) and not isinstance(value, Number) and len(value) * 6 + 2 > level:
            shorter = cut_text(value, level)
            if shorter is not value:
                self._note(place)
            return shorter
        return value

    def _fit(self, value: Json, place: Place, room: int) -> Json:
        """Make a value fit into `room` bytes, which are never fewer than a marker takes."""
        if self._size(value) <= room:
            return value
        if isinstance(value, dict):
            return self._fit_object(value, place, room)
        if isinstance(value, list):
            return self._fit_list(value, place, room)
        self._note(place)
        return cut_text(str(value), room)

    def _fit_list(self, items: list[Json], place: Place, room: int) -> Json:
        """Keep the head of a list; the first item that does not fit is cut itself where there is room for that."""
        if room < 2 * _MARKER:
            self._note(place)
            return f"…[dropped {len(items)} items]"
        kept: list[Json] = []
        left = room - 2 - _MARKER
        for index, item in enumerate(items):
            size = self._size(item) + 1
            if size > left:
                if left > 2 * _MARKER:
                    kept.append(self._fit(item, Place(index, place), left - 1))
                break
            kept.append(item)
            left -= size
        if len(kept) < len(items):
            kept.append(f"…[dropped {len(items) - len(kept)} items]")
            self._note(place)
        return kept

    def _fit_object(self, members: dict[str, Json], place: Place, room: int) -> Json:
        """Share the room among the members; what is left over of too many of them is dropped."""
        if room < 2 * _MARKER:
            self._note(place)
            return f"…[dropped {len(members)} keys]"
        kept: dict[str, Json] = {}
        left = room - 2 - _MARKER
        for key, member in members.items():
            least = _size_of_text(key) + 2 + min(self._size(member), _MARKER)
            if least > left:
                continue
            kept[key] = member
            left -= least
        spare = left + sum(min(self._size(member), _MARKER) for member in kept.values())
        if len(kept) == len(members):
            spare += _MARKER  # nothing to mark
        level = _level([self._size(member) for member in kept.values()], spare, _MARKER) or _MARKER
        fitted = {key: self._fit(member, Place(key, place), level) for key, member in kept.items()}
        if len(kept) < len(members):
            marker = "…"
            while marker in fitted:
                marker += "…"
            fitted[marker] = f"[dropped {len(members) - len(kept)} keys]"
            self._note(place)
        return fitted


def _level(sizes: list[int], room: int, least: int) -> int | None:
    """Give the largest size to which all may be cut to take at most `room` together, or None below `least`."""
    low, high = least, max(sizes, default=least)
    if sum(min(size, low) for size in sizes) > room:
        return None
    while low < high:
        middle = (low + high + 1) // 2
        if sum(min(size, middle) for size in sizes) <= room:
            low = middle
        else:
            high = middle - 1
    return low


def _size_of_text(text: str) -> int:
    written = write_string(text)
    return len(written) if written.isascii() else len(written.encode())


def _size_of_leaf(value: Json) -> int:
    if isinstance(value, Number):
        return len(value)
    if isinstance(value, str):
        return _size_of_text(value)
    return 5 if value is False else 4
