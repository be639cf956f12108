"""Sufficient statistics of calls: counts, sums and histograms that add up in any order.

Scores are counted in billionths, as whole numbers, so that adding a score and taking it off again leaves
nothing behind and the order of batches does not matter. Times go into buckets that grow by 1 %, which gives
quantiles within 0.5 % (the bucket's middle is at most (g - 1) / (g + 1) away, as in Masson et al., "DDSketch",
VLDB 2019).
"""

from __future__ import annotations

import math
import struct
import zlib
from itertools import accumulate
from typing import Final

_GROWTH: Final = 1.01
_SCALE: Final = 1 / math.log(_GROWTH)
_SHORTEST_MS: Final = 0.001
_LONGEST_MS: Final = 1e10
_OFFSET: Final = 1 - math.floor(math.log(_SHORTEST_MS) * _SCALE)
UNIT: Final = 1_000_000_000
"""A score of 1."""

_RAW, _ZLIB = b"\x01", b"\x02"
_COUNTS: Final = struct.Struct("<9q")
_WIDE: Final = 16
_WORTH_PACKING: Final = 1_000
Histogram = dict[int, int]


def bucket_of(milliseconds: float) -> int:
    """Give the bucket of a time; 0 for one that is shorter than a microsecond."""
    if milliseconds < _SHORTEST_MS:
        return 0
    return math.floor(math.log(min(milliseconds, _LONGEST_MS)) * _SCALE) + _OFFSET


def bucket_middle(bucket: int) -> float:
    """Give the time that stands for a bucket, in milliseconds."""
    return 0.0 if bucket == 0 else _GROWTH ** (bucket - _OFFSET) * 2 * _GROWTH / (1 + _GROWTH)


def quantile(histogram: Histogram, percent: int) -> float | None:
    """Give a quantile by nearest rank, within 0.5 %; None of nothing.

    Args:
        histogram: Counts by bucket.
        percent: 1 to 100.
    """
    size = sum(histogram.values())
    if size <= 0:
        return None
    rank = (size * percent + 99) // 100
    buckets = sorted(histogram)
    reached = accumulate(histogram[bucket] for bucket in buckets)
    return next(bucket_middle(bucket) for bucket, count in zip(buckets, reached, strict=True) if count >= rank)


class Sums:
    """What is known of some calls.

    Attributes:
        calls: How many.
        errors: Ended in an error.
        incomplete: Streams not read to their end.
        fallbacks: Assigned to the candidate, answered by the baseline.
        with_usage: Whose answer says its tokens.
        tokens_in: Their sum, and so on.
        scored: Have a score.
        score: Sum of the scores, in billionths.
        squares: Sum of their squares, in billionths of billionths.
        latency: Durations of calls without error, counted by bucket.
        first_token: The same to the first token.
    """

    __slots__ = (
        *("calls", "errors", "incomplete", "fallbacks", "with_usage", "tokens_in", "tokens_out", "tokens_cached"),
        *("scored", "score", "squares", "latency", "first_token"),
    )

    def __init__(self) -> None:
        self.calls = self.errors = self.incomplete = self.fallbacks = 0
        self.with_usage = self.tokens_in = self.tokens_out = self.tokens_cached = 0
        self.scored = self.score = self.squares = 0
        self.latency: Histogram = {}
        self.first_token: Histogram = {}

    def move_score(self, before: float | None, after: float | None) -> None:
        """Put one call's score in the place of the one it had; None for none."""
        if before is not None:
            old = round(before * UNIT)
            self.scored, self.score, self.squares = self.scored - 1, self.score - old, self.squares - old * old
        if after is not None:
            new = round(after * UNIT)
            self.scored, self.score, self.squares = self.scored + 1, self.score + new, self.squares + new * new

    def add(self, other: Sums, sign: int = 1) -> None:
        """Add those of other calls, or with a sign of -1 take them off."""
        for name in _PLAIN:
            setattr(self, name, getattr(self, name) + sign * getattr(other, name))
        for mine, theirs in ((self.latency, other.latency), (self.first_token, other.first_token)):
            if not mine and sign == 1:
                mine.update(theirs)
                continue
            for bucket, count in theirs.items():
                mine[bucket] = mine.get(bucket, 0) + sign * count

    def pack(self) -> bytes:
        """Write them as bytes."""
        parts = [
            _COUNTS.pack(*(getattr(self, name) for name in _NARROW)),
            self.score.to_bytes(_WIDE, "little", signed=True),
            self.squares.to_bytes(_WIDE, "little", signed=True),
        ]
        for histogram in (self.latency, self.first_token):
            filled = sorted((bucket, count) for bucket, count in histogram.items() if count)
            size = len(filled)
            buckets, counts = zip(*filled, strict=True) if filled else ((), ())
            parts.append(struct.pack(f"<H{size}H{size}q", size, *buckets, *counts))
        data = b"".join(parts)
        return _RAW + data if len(data) < _WORTH_PACKING else _ZLIB + zlib.compress(data, 1)

    @classmethod
    def unpack(cls, data: bytes) -> Sums:
        """Read them back.

        Raises:
            ValueError: they are of a kind that is not known here.
        """
        kind, rest = data[:1], data[1:]
        if kind not in {_RAW, _ZLIB}:
            raise ValueError(f"sums of the unknown kind {kind.hex()}")
        content = zlib.decompress(rest) if kind == _ZLIB else bytes(rest)
        sums = cls()
        for name, value in zip(_NARROW, _COUNTS.unpack_from(content), strict=True):
            setattr(sums, name, value)
        place = _COUNTS.size
        sums.score = int.from_bytes(content[place : place + _WIDE], "little", signed=True)
        sums.squares = int.from_bytes(content[place + _WIDE : place + 2 * _WIDE], "little", signed=True)
        place += 2 * _WIDE
        for histogram in (sums.latency, sums.first_token):
            (size,) = struct.unpack_from("<H", content, place)
            layout = f"<{size}H{size}q"
            values = struct.unpack_from(layout, content, place + 2)
            histogram.update(zip(values[:size], values[size:], strict=True))
            place += 2 + struct.calcsize(layout)
        return sums

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Sums) and self.pack() == other.pack()

    def __hash__(self) -> int:
        return hash(self.pack())

    def __bool__(self) -> bool:
        """Whether there is anything in them."""
        return (
            any(getattr(self, name) for name in _PLAIN) or any(self.latency.values()) or any(self.first_token.values())
        )


_NARROW: Final = Sums.__slots__[:9]
_PLAIN: Final = Sums.__slots__[:11]
