"""What a client says of itself, read strictly: `POST /v1/clients` and the files in a home folder carry the same.

Its rule: fields that are not known are passed over, so that a newer client is understood; texts are short, and of the
counts only the names of `core.losses.TOLD` are kept, so that no client can make a table grow.
"""

from __future__ import annotations

from typing import Annotated, Final

import msgspec

from logos_shift_openai.core.losses import TOLD

BYTES_MAX: Final = 64 * 1024
_COUNT_MAX: Final = 2**53
_SECONDS_MAX: Final = 1e10

_Text = Annotated[str, msgspec.Meta(max_length=100, pattern=r"^[ -~]*$")]
_Name = Annotated[str, msgspec.Meta(max_length=512, pattern=r"^[^\x00]*$")]
_Count = Annotated[int, msgspec.Meta(ge=0, le=_COUNT_MAX)]
_Seconds = Annotated[float, msgspec.Meta(ge=0, le=_SECONDS_MAX)]


class ConfigSaid(msgspec.Struct, frozen=True):
    """The config it has: `age` is the seconds since it was last confirmed, `poll` those between two questions."""

    version: _Count | None = None
    age: _Seconds | None = None
    poll: _Seconds | None = None


class SpoolSaid(msgspec.Struct, frozen=True):
    """What waits in its spool; `oldest` is the age of the oldest segment in seconds."""

    bytes: _Count = 0
    segments: _Count = 0
    oldest: _Seconds | None = None


class ClientReport(msgspec.Struct, frozen=True):
    """A report: `process` is 32 hexadecimal digits, new in each process; `sequence` counts its reports from 1.

    `counts` are those since the process began; `breakers` the candidates kept out, by their experiment.
    """

    process: Annotated[str, msgspec.Meta(pattern="^[0-9a-f]{32}$")]
    sequence: Annotated[int, msgspec.Meta(ge=1, le=_COUNT_MAX)]
    counts: Annotated[dict[_Name, _Count], msgspec.Meta(max_length=512)]
    uptime: _Seconds = 0.0
    ended: bool = False
    version: _Text = ""
    sdk: _Text = ""
    config: ConfigSaid = ConfigSaid()
    spool: SpoolSaid = SpoolSaid()
    breakers: Annotated[dict[_Name, _Text], msgspec.Meta(max_length=100)] = {}

    @property
    def known(self) -> dict[str, int]:
        """The counts with a name that is known."""
        return {name: count for name, count in self.counts.items() if name in TOLD}


class Said(msgspec.Struct, frozen=True):
    """What is kept of a report beside its counts."""

    uptime: float
    version: str
    sdk: str
    config: ConfigSaid
    spool: SpoolSaid
    breakers: dict[str, str]

    @classmethod
    def of(cls, report: ClientReport) -> Said:
        """Take it out of a report."""
        return cls(report.uptime, report.version, report.sdk, report.config, report.spool, report.breakers)


def read_report(body: bytes) -> ClientReport:
    """Read a report from JSON.

    Raises:
        ValueError: it is none.
    """
    return msgspec.json.decode(body, type=ClientReport)
