"""Completion: the scripts of four shells, and what is offered for an argument, asked as a shell asks."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path


@pytest.fixture
def offered(home: Any, monkeypatch: pytest.MonkeyPatch, cli: Any) -> Callable[..., list[str]]:
    """Ask what fits a command line whose last word is not finished."""

    def ask(*words: str) -> list[str]:
        with monkeypatch.context() as patch:
            patch.setenv("_LOGOS_SHIFT_COMPLETE", "complete_bash")
            patch.setenv("COMP_WORDS", " ".join(("logos-shift", *words)))
            patch.setenv("COMP_CWORD", str(len(words)))
            return cli().out.split()

    return ask


def test_commands_and_options(offered: Any) -> None:
    """As of any command line."""
    assert {"calls", "doctor", "rollout"} <= set(offered(""))
    assert offered("calls", "sh") == ["show"]
    assert "--dataset" in offered("calls", "list", "--d")
    assert offered("calls", "list", "--variant", "c") == ["candidate"]


def test_names_come_from_the_home(offered: Any, cli: Any, home: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Datasets, experiments, calls, models, keys and channels; nothing is made or taken in for it."""
    for words in (("stats", "--dataset"), ("calls", "show"), ("keys", "revoke"), ("experiment", "show")):
        assert offered(*words, "") == []
    assert list(home.path.iterdir()) == []
    home.spool(home.call(id="chatcmpl-1", dataset="sales"), home.call(id="other", dataset="support"))
    assert offered("stats", "--dataset", "") == []
    assert cli("experiment", "start", "sales-tiny", "--model", "m", "--candidate", "t").code == 0
    key = cli("keys", "create", "read", "--json").json["id"]
    assert offered("stats", "--dataset", "s") == ["sales", "support"]
    assert offered("dataset", "build", "su") == ["support"]
    assert offered("calls", "show", "chat") == ["chatcmpl-1"]
    assert offered("feedback", "o") == ["other"]
    assert offered("store", "keep", "sa") == ["sales"]
    assert offered("calls", "list", "--model", "") == ["gpt-6.1-sol"]
    assert offered("rollout", "pause", "") == ["sales-tiny"]
    assert offered("keys", "revoke", "") == [key]
    monkeypatch.setenv("LOGOS_SHIFT_NOTIFY_OPS_URL", "https://example.com/hook")
    assert offered("notify", "test", "") == ["ops"]
    monkeypatch.delenv("LOGOS_SHIFT_HOME")
    assert offered("--home", str(home.path), "experiment", "show", "") == ["sales-tiny"]


def test_names_that_mean_something_to_a_shell_are_not_offered(offered: Any, cli: Any, home: Any) -> None:
    """They come from callers, and shells evaluate what they are offered."""
    hostile = ["$(touch x)", "a;b", "`id`", "a'b", 'a"b', "a b", "-rf", "a:b", "a\nb", "\x1b[2J", "a*", "~", "é"]
    home.spool(*(home.call(dataset=name) for name in [*hostile, "good.name_1@x/y+z-2"]))
    assert cli("stats").code == 0
    assert offered("stats", "--dataset", "") == ["good.name_1@x/y+z-2"]


@pytest.mark.parametrize("broken", ["store.sqlite3", "config.json"])
def test_what_is_broken_offers_nothing(offered: Any, home: Any, broken: str) -> None:
    """And says nothing in the middle of somebody's typing."""
    (home.path / broken).write_bytes(b"[1]\xff")
    assert offered("stats", "--dataset", "") == []
    assert offered("experiment", "show", "") == []


@pytest.mark.parametrize("shell", ["bash", "zsh", "fish", "powershell", "pwsh"])
def test_the_script_of_each_shell(cli: Any, monkeypatch: pytest.MonkeyPatch, shell: str) -> None:
    """It asks this very command."""
    monkeypatch.setenv("_TYPER_COMPLETE_TEST_DISABLE_SHELL_DETECTION", "1")
    ended = cli("--show-completion", shell)
    assert ended.code == 0
    assert "_LOGOS_SHIFT_COMPLETE" in ended.out
    assert "logos-shift" in ended.out


@pytest.mark.skipif(shutil.which("bash") is None, reason="there is no bash here")
def test_a_real_bash_completes(home: Any, cli: Any, tmp_path: Path) -> None:
    """The installed script, in a bash with our command on its path."""
    assert cli("experiment", "start", "sales-tiny", "--model", "m", "--candidate", "t").code == 0
    command = tmp_path / "bin" / "logos-shift"
    command.parent.mkdir()
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m logos_shift_openai.cli "$@"\n')
    command.chmod(0o755)
    user = tmp_path / "user"
    user.mkdir()
    env = {**os.environ, "PATH": f"{command.parent}:{os.environ['PATH']}", "HOME": str(user), "PYTHONWARNINGS": ""}
    typed = (
        "logos-shift --install-completion || exit 1\n"
        f". {user}/.bashrc\n"
        "COMP_WORDS=(logos-shift experiment show sa); COMP_CWORD=3\n"
        '_logos_shift_completion logos-shift sa show; echo "offered: ${COMPREPLY[*]}"\n'
    )
    ended = subprocess.run(["bash", "--norc"], input=typed, env=env, capture_output=True, text=True, check=False)
    assert "offered: sales-tiny\n" in ended.stdout, ended.stdout + ended.stderr
