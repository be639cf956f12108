"""The counts of losses, and the log lines said once."""

from __future__ import annotations

import ast
import logging
import threading
from pathlib import Path
from typing import TYPE_CHECKING

from logos_shift_openai.client import counters as counters_module
from logos_shift_openai.client.counters import REASONS, Counters

if TYPE_CHECKING:
    import pytest

LOGGER = logging.getLogger("logos_shift_openai")
BACKGROUND = (
    "counters",
    "periodic",
    "recorder",
    "spool",
    "file_lock",
    "uploader",
    "wire",
    "config_source",
    "example_files",
    "seam",
    "runtime",
    "logos_shift",
    "shadow",
    "encoding",
)


def test_counts_add_up_across_threads() -> None:
    """Eight threads that count at once lose nothing."""
    counters = Counters()

    def count() -> None:
        for _ in range(2_000):
            counters.add("sent")
            counters.add("queue_full_bytes", 3)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert counters.snapshot() == {"sent": 16_000, "queue_full_bytes": 48_000}


def test_a_snapshot_is_a_copy() -> None:
    """What the caller does to a snapshot changes no count."""
    counters = Counters()
    counters.add("sent")
    counters.snapshot()["sent"] = 99
    assert counters.snapshot() == {"sent": 1}


def test_reasons_are_bounded() -> None:
    """A server that invents reasons for ever fills one counter, not the memory."""
    counters = Counters()
    for number in range(1_000):
        counters.add(f"refused_{number}")
    counts = counters.snapshot()
    assert len(counts) == 257
    assert counts["other"] == 1_000 - 256


def test_a_line_is_said_once_until_forgotten(caplog: pytest.LogCaptureFixture) -> None:
    """The second time says nothing, unless what the line told of was over in between."""
    counters = Counters()
    with caplog.at_level(logging.WARNING, logger="logos_shift_openai"):
        counters.say_once(LOGGER, "full", "full at %d", 5)
        counters.say_once(LOGGER, "full", "full at %d", 6)
        counters.forget("full")
        counters.say_once(LOGGER, "full", "full at %d", 7)
    assert [record.getMessage() for record in caplog.records] == ["full at 5", "full at 7"]


def test_a_broken_log_handler_is_counted_not_raised() -> None:
    """A handler of the user's that raises does not reach the code that had something to say."""

    class Broken(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("no")

    logger = logging.Logger("lonely")  # noqa: LOG001  one that no other test sees
    logger.addHandler(Broken())
    counters = Counters()
    counters.say_once(logger, "key", "message")
    assert counters.snapshot() == {"log_failed": 1}


def test_a_child_counts_for_itself() -> None:
    """After a fork the child begins at zero, with a lock that no lost thread holds."""
    counters = Counters()
    counters.add("sent", 5)
    held = threading.Event()
    let_go = threading.Event()

    def hold() -> None:
        with counters._lock:
            held.set()
            let_go.wait(90)

    thread = threading.Thread(target=hold)
    thread.start()
    held.wait(90)
    counters.after_fork()
    counters.add("sent")
    let_go.set()
    thread.join()
    assert counters.snapshot() == {"sent": 1}


def test_every_reason_counted_is_explained() -> None:
    """Each reason the background parts count stands in the table, and the table names no other."""
    folder = Path(counters_module.__file__).parent
    counted = set()
    for name in BACKGROUND:
        for node in ast.walk(ast.parse((folder / f"{name}.py").read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute | ast.Name):
                called = node.func.attr if isinstance(node.func, ast.Attribute) else node.func.id
                first = node.args[0] if node.args else None
                if (
                    called in {"add", "_count", "count"}
                    and isinstance(first, ast.Constant)
                    and isinstance(first.value, str)
                ):
                    counted.add(first.value)
    counted.add("other")
    assert counted - {"refused_unreadable", "refused_file"} == set(REASONS)
