"""What `--help` says, compared with the files beside this one.

To renew them after a change: `RENEW_GOLDEN=1 python -m pytest tests/cli/test_cli_help.py`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

GOLDEN = Path(__file__).parent / "golden"
COMMANDS = [
    "",
    "calls",
    "calls list",
    "calls show",
    "calls tail",
    "calls export",
    "demo",
    "stats",
    "feedback",
    "import",
    "experiment",
    "experiment start",
    "experiment share",
    "experiment pause",
    "experiment resume",
    "experiment stop",
    "experiment list",
    "experiment show",
    "rollout",
    "rollout start",
    "rollout status",
    "rollout pause",
    "rollout resume",
    "rollout promote",
    "rollout rollback",
    "rollout history",
    "tune",
    "tune start",
    "tune status",
    "tune watch",
    "tune list",
    "tune cancel",
    "candidate",
    "candidate evaluate",
    "candidate report",
    "candidate list",
    "gate",
    "gate choose",
    "gate set",
    "gate off",
    "autopilot",
    "autopilot on",
    "autopilot notify",
    "autopilot off",
    "autopilot status",
    "autopilot approve",
    "autopilot history",
    "prices",
    "prices set",
    "prices remove",
    "prices list",
    "dataset",
    "dataset list",
    "dataset show",
    "dataset build",
    "dataset export",
    "dataset validate",
    "dataset split",
    "dataset remove",
    "replay",
    "ui",
    "serve",
    "keys",
    "keys create",
    "keys list",
    "keys revoke",
    "keys feedback-token",
    "notify",
    "notify test",
    "notify list",
    "notify outbox",
    "store",
    "store migrate",
    "store stats",
    "store vacuum",
    "store keep",
    "store move",
    "doctor",
]


@pytest.mark.parametrize("command", COMMANDS)
def test_help_is_as_written_down(cli: Any, command: str) -> None:
    """Word for word, within 80 columns, and every command has an example."""
    ended = cli(*command.split(), "--help")
    assert ended.code == 0
    text = "\n".join(line for line in ended.out.splitlines() if not line.startswith("  demo "))
    path = GOLDEN / f"{command.replace(' ', '-') or 'logos-shift'}.txt"
    if os.environ.get("RENEW_GOLDEN"):
        path.parent.mkdir(exist_ok=True)
        path.write_text(text + "\n", encoding="utf-8")
    assert text + "\n" == path.read_text(encoding="utf-8")
    assert max(map(len, text.splitlines())) <= 80
    if command == "" or not any(one.startswith(f"{command} ") for one in COMMANDS):
        assert "Example:" in text


def test_the_version_is_said(cli: Any) -> None:
    """With the name of the distribution."""
    assert cli("--version").out.startswith("logos_shift_openai ")


def test_no_command_is_a_usage_fault_that_shows_the_help(cli: Any) -> None:
    """As is one that is not there."""
    bare = cli()
    assert bare.code == 2
    assert "Usage: logos-shift" in bare.out + bare.err
    assert cli("frobnicate").code == 2
