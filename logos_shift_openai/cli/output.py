"""Everything the commands show goes through here.

What is shown comes from models, callers and servers, and none of them may speak to the terminal: markup is
never read, and characters that steer a terminal or turn the direction of a text are shown as their code.
"""

from __future__ import annotations

import json
import os
import re
import sys
import time
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Iterable

    from rich.console import Console
    from rich.table import Table

# C0 and C1 controls, DEL, separators of lines and paragraphs, marks of direction, invisible tags
_STEERING: Final = (
    r"\x00-\x1f\x7f-\x9f\u061c\u200b\u200e\u200f\u2028-\u202e\u2060-\u2069\ufeff\ufff9-\ufffb"
    r"\U000e0000-\U000e007f"
)
_IN_LINE: Final = re.compile(f"[{_STEERING}]")
_IN_BLOCK: Final = re.compile(f"(?![\\n\\t])[{_STEERING}]")
_MINUTE, _HOUR, _DAY = 60, 3_600, 86_400


class CommandError(Exception):
    """A command cannot do what was asked; the message is the one line that is shown."""


def clean(value: object) -> str:
    """Make a value safe to show in one line."""
    return _IN_LINE.sub(_code, str(value))


def clean_block(value: object) -> str:
    """Make a value safe to show over several lines."""
    return _IN_BLOCK.sub(_code, str(value).replace("\r\n", "\n"))


def emit(value: object, *, lines: bool = False) -> None:
    """Write a value to stdout as JSON.

    Args:
        value: What JSON can say.
        lines: In one line, for a stream of values.
    """
    ascii_only = (getattr(sys.stdout, "encoding", None) or "").lower().replace("-", "") != "utf8"
    text = json.dumps(value, ensure_ascii=ascii_only, indent=None if lines else 2)
    # JSON itself escapes the first controls only; the rest is escaped here, which changes no value.
    text = re.sub(f"(?![\\n])[{_STEERING}]", _json_code, text)
    sys.stdout.write(text + "\n")
    sys.stdout.flush()


def emit_lines(lines: Iterable[bytes]) -> None:
    """Write lines of JSON to stdout as they are; on a terminal, with what could steer it escaped."""
    if not sys.stdout.isatty():
        sys.stdout.flush()
        sys.stdout.buffer.writelines(lines)
        sys.stdout.buffer.flush()
        return
    for line in lines:
        sys.stdout.write(re.sub(f"(?![\\n])[{_STEERING}]", _json_code, line.decode("utf-8", "replace")))


def console(*, stderr: bool = False) -> Console:
    """Give a console that reads no markup and colours nothing by itself; with NO_COLOR it styles nothing at all."""
    from rich.console import Console  # noqa: PLC0415

    styles: Literal["auto"] | None = (
        None if os.environ.get("NO_COLOR") else "auto"
    )  # rich by itself would leave out the colours alone
    return Console(stderr=stderr, highlight=False, markup=False, emoji=False, color_system=styles)


def bars_wanted() -> bool:
    """Tell whether somebody is there to see a progress bar: FORCE_COLOR makes no terminal of a pipe."""
    return sys.stderr.isatty()


def plain_table(title: str | None = None) -> Table:
    """Give an empty table without frames."""
    from rich.table import Table  # noqa: PLC0415
    from rich.text import Text  # noqa: PLC0415

    return Table(
        title=None if title is None else Text(clean(title), style="bold"),
        title_justify="left",
        box=None,
        padding=(0, 1, 0, 0),
        header_style="dim",
        pad_edge=False,
    )


def warn(message: str) -> None:
    """Say something on stderr, in one line."""
    sys.stderr.write(f"logos-shift: {clean(message)}\n")


def now_ms() -> int:
    """Read the clock, milliseconds since 1970."""
    return time.time_ns() // 1_000_000


def age(at: int, now: int) -> str:
    """Say in a few characters how long ago something was."""
    seconds = max(0, now - at) // 1000
    if seconds < _MINUTE:
        return f"{seconds}s"
    if seconds < _HOUR:
        return f"{seconds // _MINUTE}m"
    return f"{seconds // _HOUR}h" if seconds < 2 * _DAY else f"{seconds // _DAY}d"


def moment(at: int) -> str:
    """Write a time out, in the time zone of this machine."""
    try:
        return datetime.fromtimestamp(at / 1000, tz=timezone.utc).astimezone().isoformat(" ", "seconds")
    except (ValueError, OverflowError, OSError):
        return f"{at} ms"


def milliseconds(value: float | None) -> str:
    """Write a duration with two or three figures: 0.8 ms, 512 ms, 12.3 s, 120 s."""
    if value is None:
        return ""
    if value >= 99_950:  # noqa: PLR2004 - from here on whole seconds say enough
        return f"{value / 1000:.0f} s"
    if value >= 999.5:  # noqa: PLR2004 - from here on it would show as 1000 ms
        return f"{value / 1000:.1f} s"
    return f"{value:.0f} ms" if value >= 10 else f"{value:.1f} ms"  # noqa: PLR2004 - two figures at least


def percent(basis_points: int) -> str:
    """Write a share of so many basis points in percent."""
    return f"{basis_points / 100:g} %"


def compact(value: Any) -> str:
    """Write a JSON value in one line."""
    return json.dumps(value, ensure_ascii=False)


def _code(match: re.Match[str]) -> str:
    code = ord(match[0])
    if match[0] == "\n":
        return "\N{DOWNWARDS ARROW WITH CORNER LEFTWARDS}"
    return f"\\x{code:02x}" if code <= 0xFF else f"\\u{{{code:x}}}"  # noqa: PLR2004


def _json_code(match: re.Match[str]) -> str:
    return json.dumps(match[0])[1:-1]
