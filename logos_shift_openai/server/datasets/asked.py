"""What a held-out call asked besides its messages and tools: the form of the answer, sampling, limits.

No line to train on may hold it, and a candidate that is asked without it is asked something else. So it has a file of
its own beside the held-out part, a line for each of its lines, which also names the call.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec
from msgspec import UNSET, Raw, Struct, UnsetType

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from .scrubbing import Scrubber

_Kept = Raw | UnsetType


class _Asked(Struct):
    """The parameters that are kept; whatever else a call asks is its provider's or its caller's own business."""

    response_format: _Kept = UNSET
    tool_choice: _Kept = UNSET
    temperature: _Kept = UNSET
    top_p: _Kept = UNSET
    max_tokens: _Kept = UNSET
    max_completion_tokens: _Kept = UNSET
    stop: _Kept = UNSET
    seed: _Kept = UNSET
    presence_penalty: _Kept = UNSET
    frequency_penalty: _Kept = UNSET
    reasoning_effort: _Kept = UNSET
    verbosity: _Kept = UNSET


class _Pack(Struct):
    request: _Asked


class _Line(Struct):
    call: str
    asked: Raw


class HeldOut(NamedTuple):
    """A line of the file: the id of the call, and what it asked besides."""

    call: str
    asked: dict[str, Any]


KEPT: Final = frozenset(_Asked.__struct_fields__)
"""Their names."""
_decode: Final = msgspec.json.Decoder(_Pack).decode
_encode: Final = msgspec.json.Encoder().encode


def asked_line(call_id: str, pack: bytes, scrubber: Scrubber) -> bytes:
    """Write the line of a call, its end included; what was asked is redacted as all else is.

    Args:
        call_id: Its id.
        pack: Its bodies, a chat's, which were read before.
        scrubber: Redacts.

    Raises:
        UncleanError: it cannot be redacted for sure.
    """
    return _encode(_Line(call_id, scrubber.raw(Raw(_encode(_decode(pack).request))))) + b"\n"


def asked_in(lines: Iterable[bytes]) -> Iterator[HeldOut]:
    """Read the lines of such a file; null is as good as absent."""
    for line in lines:
        said = json.loads(line)
        yield HeldOut(said["call"], {name: value for name, value in said["asked"].items() if value is not None})
