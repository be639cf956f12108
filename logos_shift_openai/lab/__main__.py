"""``python -m logos_shift_openai.lab``: the lab in the foreground, until it is interrupted.

Owns the command line and nothing else.
"""

from __future__ import annotations

import argparse
import signal
import sys
import threading
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ApiError
from .rows import read_rows
from .server import LATENCY, Lab

if TYPE_CHECKING:
    from collections.abc import Sequence


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the lab until SIGINT or SIGTERM; the exit code is 0, or 1 if it could not start."""
    options = _parser().parse_args(arguments)
    ended = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: ended.set())
    try:
        lab = Lab(
            options.host,
            options.port,
            latency=options.latency,
            seed=options.seed,
            accuracy=options.accuracy,
            rows=None if options.rows is None else read_rows(options.rows),
            state_dir=options.state_dir,
        )
        for model, day in options.shutdown:
            lab.set_shutdown_date(model, day)
        lab.start()
    except (ApiError, OSError, ValueError, OverflowError) as error:
        sys.stderr.write(f"The lab could not start: {error}\n")
        return 1
    try:
        sys.stdout.write(f"The lab answers at {lab.base_url} (any key will do). Stop it with Ctrl-C.\n")
        sys.stdout.flush()
        while not ended.wait(3600):
            pass
    finally:
        lab.stop()
    return 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m logos_shift_openai.lab",
        description="A local OpenAI-compatible provider: oracle-large is a script, tiny-base a small text "
        "classifier that can be fine-tuned.",
    )
    parser.add_argument("--host", default="127.0.0.1", help="address to listen on (default: %(default)s)")
    parser.add_argument("--port", type=int, default=8400, help="port, 0 = any free one (default: %(default)s)")
    parser.add_argument(
        "--latency",
        type=float,
        default=LATENCY,
        help="mean seconds oracle-large takes (default: %(default)s)",
    )
    parser.add_argument(
        "--accuracy", type=float, default=0.95, help="share oracle-large gets right (default: %(default)s)"
    )
    parser.add_argument("--seed", type=int, default=0, help="which texts it gets wrong (default: %(default)s)")
    parser.add_argument(
        "--rows",
        type=Path,
        metavar="FILE",
        help="JSON lines that oracle-large knows instead of the shipped rows: objects with text and answer, with text "
        "and tool_calls, or lines of a chat training file",
    )
    parser.add_argument(
        "--shutdown",
        type=_shutdown,
        action="append",
        default=[],
        metavar="MODEL=DAY",
        help="announce in /v1/models the day (YYYY-MM-DD) on which a model ends; may be repeated",
    )
    parser.add_argument("--state-dir", help="folder that keeps files, jobs and tuned models over a restart")
    return parser


def _shutdown(text: str) -> tuple[str, date]:
    model, _, day = text.rpartition("=")
    return model, date.fromisoformat(day)


if __name__ == "__main__":
    sys.exit(main())
