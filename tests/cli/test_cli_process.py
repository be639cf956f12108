"""The command line as processes: signals, pipes, missing parts, start-up."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
from typing import Any

import pytest

from logos_shift_openai.cli.needed import COMMAND_LINE


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)


def test_tail_follows_until_it_is_interrupted(home: Any, process: Any) -> None:
    """The last calls, then each new one as it is spooled, a JSON object a line; Ctrl-C ends it with 130."""
    home.spool(home.call(id="a"))
    tail = process("calls", "tail", "--json")
    assert json.loads(tail.stdout.readline())["id"] == "a"
    home.spool(home.call(id="b"), home.call(id="c"))
    assert {json.loads(tail.stdout.readline())["id"] for _ in range(2)} == {"b", "c"}
    tail.send_signal(signal.SIGINT)
    out, err = tail.communicate(timeout=90)
    assert (tail.returncode, out, err) == (130, "", "")


def test_tail_shows_a_table_that_grows(home: Any, process: Any) -> None:
    """The head stands once; the columns stay where they are."""
    home.spool(home.call(id="a"))
    tail = process("calls", "tail")
    assert tail.stdout.readline().split() == ["id", "age", "model", "variant", "took", "end"]
    assert tail.stdout.readline().split()[0] == "a"
    home.spool(home.call(id="b"))
    assert tail.stdout.readline().split()[0] == "b"
    tail.send_signal(signal.SIGINT)
    tail.communicate(timeout=90)
    assert tail.returncode == 130


def test_a_closed_pipe_ends_it_quietly(home: Any, process: Any) -> None:
    """`| head` is not a fault to be traced."""
    home.spool(*(home.call(request={"text": "x" * 2000}) for _ in range(2000)))
    listing = process("calls", "list", "--json", "--limit", "2000")
    assert listing.stdout.readline() == "[\n"
    listing.stdout.close()
    assert listing.stderr.read() == ""
    listing.stderr.close()
    assert listing.wait(timeout=90) == 141


@pytest.mark.parametrize("missing", COMMAND_LINE)
def test_a_missing_extra_is_one_line(missing: str) -> None:
    """It says what to install."""
    ended = run(f"import sys; sys.modules[{missing!r}] = None\nfrom logos_shift_openai.cli.main import run; run()")
    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr == (
        f'logos-shift: {missing} not installed; the command line comes with: pip install "logos_shift_openai[cli]"\n'
    )


def test_help_imports_nothing_heavy() -> None:
    """Neither the store nor rich nor an HTTP client is there when only help is wanted."""
    ended = run(
        "import sys\n"
        "import logos_shift_openai\n"
        "before = set(sys.modules)\n"
        "from logos_shift_openai.cli.main import run\n"
        "sys.argv = ['logos-shift', '--help']\n"
        "try:\n    run()\nexcept SystemExit as end:\n    assert end.code == 0\n"
        "new = {name.partition('.')[0] for name in set(sys.modules) - before}\n"
        "print(sorted(new & {'sqlalchemy', 'rich', 'requests', 'openai', 'pydantic', 'sqlite3'}))\n"
    )
    assert ended.stdout.splitlines()[-1] == "[]", ended.stderr


def on_a_terminal(*arguments: str) -> str:
    """Run a command on a terminal of its own, and give what it wrote there."""
    controller, terminal = pty.openpty()
    shown = subprocess.Popen(
        [sys.executable, "-m", "logos_shift_openai.cli", *arguments], stdin=terminal, stdout=terminal, stderr=terminal
    )
    os.close(terminal)
    text = b""
    try:
        while part := os.read(controller, 4096):
            text += part
    except OSError:
        pass  # the terminal's end, on Linux
    os.close(controller)
    assert shown.wait() == 0
    return text.decode()


def test_colours_are_for_terminals_that_want_them(home: Any, process: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a terminal yes, with NO_COLOR not one escape code, in a pipe never unless FORCE_COLOR wants them."""
    home.spool(home.call(complete=False))
    assert "\x1b[33mcut" in on_a_terminal("calls", "list")
    piped = process("calls", "list").communicate()
    assert "cut" in piped[0]
    assert "\x1b" not in "".join(piped)
    monkeypatch.setenv("FORCE_COLOR", "1")
    piped = process("calls", "list").communicate()
    assert "\x1b[33mcut" in piped[0]
    assert piped[1] == ""
    monkeypatch.setenv("NO_COLOR", "1")
    for words in (["calls", "list"], ["stats"], ["store", "stats"], ["calls", "--help"]):
        shown = on_a_terminal(*words)
        assert "\x1b" not in shown, words
    assert "\x1b" not in "".join(process("calls", "list").communicate())


def test_a_long_spool_shows_its_progress_on_a_terminal_only(
    home: Any, process: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On stderr, so that stdout stays what was asked for; in a pipe there is none."""
    big = [home.call(request={"text": "x" * 1000}) for _ in range(5000)]
    home.spool(*big)
    controller, terminal = pty.openpty()
    shown = subprocess.Popen(
        [sys.executable, "-m", "logos_shift_openai.cli", "calls", "list", "--json", "--limit", "1"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=terminal,
    )
    os.close(terminal)
    text = b""
    try:
        while part := os.read(controller, 4096):
            text += part
    except OSError:
        pass
    os.close(controller)
    out = shown.communicate()[0]
    assert shown.returncode == 0
    assert b"taking the spool in" in text
    assert len(json.loads(out)) == 1
    home.spool(*(home.call(request={"text": "x" * 1000}) for _ in range(5000)))
    monkeypatch.setenv("FORCE_COLOR", "1")
    piped = process("stats", "--json")
    out_text, err = piped.communicate()
    assert err == ""
    assert json.loads(out_text)["totals"]["calls"] == 10_000


def test_a_count_of_long_work_is_gone_when_it_has_ended(home: Any, process: Any) -> None:
    """Shown on a terminal and wiped off again; not there in a pipe."""
    home.spool(*(home.call(request={"text": str(number) * 200}) for number in range(50)))
    process("stats").communicate()
    shown = on_a_terminal("store", "vacuum")
    count, _, after = shown.rpartition("looking at bodies")
    assert count
    assert "\x1b[2K" in after.partition("past their time")[0]
    out, err = process("store", "vacuum").communicate()
    assert "past their time" in out
    assert (err, "looking" in out) == ("", False)


def test_two_commands_at_once(home: Any, process: Any) -> None:
    """Both take the same spool in, and both see all of it."""
    for _ in range(6):
        home.spool(*(home.call() for _ in range(200)))
    running = [process("stats", "--json") for _ in range(2)]
    for one in running:
        out, err = one.communicate(timeout=90)
        assert (one.returncode, err) == (0, "")
        assert json.loads(out)["totals"]["calls"] == 1200
