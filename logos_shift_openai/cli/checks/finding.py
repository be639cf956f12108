"""What a check gives and what it looks at. Both are values, so that findings are shown and written as JSON alike."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from logos_shift_openai.cli.session import Place
    from logos_shift_openai.core.config import Config

Level = Literal["ok", "warning", "broken"]


@dataclass(frozen=True, slots=True)
class Finding:
    """What a check found.

    Args:
        check: Its name.
        level: `broken` means that something does not work now.
        what: What was found.
        cure: What to do, empty where there is nothing to do.
    """

    check: str
    level: Level
    what: str
    cure: str = ""


@dataclass(slots=True)
class Machine:
    """What the checks look at.

    Args:
        place: The home folder.
        environ: The environment.
        now: Milliseconds since 1970.
        project: The folder whose sources are looked at; None looks at none.
        homes: Other home folders that programs of this user may have.
        online: Whether providers may be asked.
        config: The live config, put here by the check that reads it; None until then, and where there is none.
        config_at: When it was changed, milliseconds since 1970; None where that is not known.
    """

    place: Place
    environ: Mapping[str, str]
    now: int
    project: Path | None = None
    homes: tuple[Path, ...] = ()
    online: bool = False
    config: Config | None = field(default=None, init=False)
    config_at: int | None = field(default=None, init=False)

    @property
    def url(self) -> str:
        """The server's address, empty without one."""
        return self.said("LOGOS_SHIFT_URL").rstrip("/")

    def said(self, variable: str) -> str:
        """Give what a variable says, empty where it is not set."""
        return self.environ.get(variable, "").strip()


def as_json(finding: Finding) -> dict[str, Any]:
    """Give a finding as a plain object."""
    return {name: getattr(finding, name) for name in ("check", "level", "what", "cure")}
