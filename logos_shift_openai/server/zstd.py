"""Zstandard as the standard library has it since Python 3.14, and before that from its backport, which is the same."""

from __future__ import annotations

import sys

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

compress = zstd.compress
decompress = zstd.decompress
get_frame_info = zstd.get_frame_info
train_dict = zstd.train_dict
DecompressionParameter = zstd.DecompressionParameter
ZstdCompressor = zstd.ZstdCompressor
ZstdDecompressor = zstd.ZstdDecompressor
ZstdDict = zstd.ZstdDict
ZstdError = zstd.ZstdError
