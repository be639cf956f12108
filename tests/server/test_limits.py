"""Buckets and unpacking, with clock and bytes passed in."""

from __future__ import annotations

import gzip

import pytest

from logos_shift_openai.server import limits, zstd
from logos_shift_openai.server.inflating import InflateError, TooLongError, inflate
from logos_shift_openai.server.limits import Buckets


def test_a_bucket_lets_a_burst_pass_and_then_its_rate():
    """And says how long to wait."""
    buckets = Buckets(10.0, 0.3)
    assert [buckets.take("a", 0.0) for _ in range(3)] == [0.0, 0.0, 0.0]
    assert buckets.take("a", 0.0) == pytest.approx(0.1)
    assert buckets.take("b", 0.0) == 0.0
    assert buckets.take("a", 0.1) == 0.0
    assert buckets.take("a", 0.1) > 0


def test_buckets_are_bounded(monkeypatch):
    """Full ones go first."""
    monkeypatch.setattr(limits, "_MOST_BUCKETS", 3)
    buckets = Buckets(1.0, 1.0)
    for name in "abc":
        buckets.take(name, 0.0)
    buckets.take("d", 0.5)
    buckets.take("e", 10.0)
    assert len(buckets._buckets) <= 3


@pytest.mark.parametrize("encoding", ["gzip", "zstd"])
def test_what_is_cut_or_followed_by_more_is_refused(encoding):
    """Never taken for the whole."""
    pack = {"gzip": gzip.compress, "zstd": zstd.compress}[encoding]
    packed = pack(b"lines\n" * 100)
    for body in (packed[:-1], packed + b"more", b"", b"nonsense", packed[:10]):
        with pytest.raises(InflateError):
            inflate(body, encoding, 10_000)
    assert inflate(packed, encoding, 600) == b"lines\n" * 100
    with pytest.raises(TooLongError):
        inflate(packed, encoding, 599)


@pytest.mark.parametrize("sized", [True, False])
def test_a_bomb_is_put_out(sized):
    """A gigabyte in some kilobytes, whether it says so or not."""
    packer = zstd.ZstdCompressor()
    bomb = zstd.compress(bytes(2**28)) if sized else packer.compress(bytes(2**28)) + packer.flush()
    with pytest.raises(TooLongError):
        inflate(bomb, "zstd", 2**20)
    with pytest.raises(TooLongError):
        inflate(gzip.compress(bytes(2**26)), "gzip", 2**20)
