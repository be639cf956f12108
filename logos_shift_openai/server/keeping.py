"""For how long records are kept, as far as ingest must know: one that is past its time is not taken in again.

A record that retention has removed is not there to be recognised; replayed, it would be new, and be counted twice. The
rules are read in the transaction that takes records in, so none is refused by a rule that was changed before.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from logos_shift_openai.core.records import RecordError

from .store.rows import Head
from .store.shadow_rows import ShadowRow

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from .store.rows import FeedbackRow

ANY: Final = "*"
_DAY_MS: Final = 86_400_000


@dataclass(frozen=True, slots=True)
class Keeping:
    """The days that calls are kept for.

    Args:
        days: By dataset, "*" for those without a rule of their own; None for good.
    """

    days: dict[str, int | None]

    @classmethod
    def read(cls, connection: Connection) -> Keeping:
        """Read the rules, with a statement written bare: it runs for every batch."""
        rows = connection.exec_driver_sql("SELECT dataset, days FROM retention").all()
        return cls({row.dataset: row.days for row in rows})

    def check(self, record: Head | FeedbackRow | ShadowRow, now: int) -> None:
        """Make sure that a record is not past its time.

        Args:
            record: A call, a shadow; or a feedback, whose dataset is not known: it may be as old as any call.
            now: Milliseconds since 1970.

        Raises:
            RecordError: it is.
        """
        if not self.days:
            return
        if isinstance(record, (Head, ShadowRow)):
            whose, days = f"calls of {record.dataset!r} are", self.days.get(record.dataset, self.days.get(ANY))
        else:
            whose, days = "feedback is", self._longest()
        if days is not None and record.at < now - days * _DAY_MS:
            raise RecordError(f"past retention: {whose} kept for {days} days")

    def _longest(self) -> int | None:
        limits = [days for days in self.days.values() if days is not None]
        return max(limits) if ANY in self.days and len(limits) == len(self.days) else None
