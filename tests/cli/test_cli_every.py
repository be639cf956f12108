"""Every command there is, found by walking the tree: its help, its JSON, its exit codes, and what it does with nonsense.

A new command is held to all of it without being named here; what must be said of one stands in the tables below, each
entry with its reason.
"""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from command_lines import our_commands, read
from typer.main import get_command

from logos_shift_openai.cli.application import app

if TYPE_CHECKING:
    from collections.abc import Iterator

TAKES = 40


def walk(command: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[tuple[str, ...], Any]]:
    yield path, command
    for name in getattr(command, "commands", {}):
        yield from walk(command.commands[name], (*path, name))


TREE = dict(walk(get_command(app)))
LEAVES = {path: command for path, command in TREE.items() if path and not hasattr(command, "commands")}
NAMES = [" ".join(path) for path in LEAVES]

NO_JSON = {
    "serve": "it runs until it is ended",
    "ui": "it runs until it is ended",
    "calls export": "what it writes is JSON lines already",
    "dataset export": "what it writes is JSON lines already",
}
NOT_RUN = {
    "serve": "it runs until it is ended; see tests/server",
    "ui": "it runs until it is ended",
    "demo": "it takes half a minute; see test_cli_demo.py",
    "calls tail": "it runs until it is ended; see test_cli_process.py",
    "tune watch": "it runs until the job is at its end; see test_cli_tune.py",
}
LINES = {"calls export", "dataset export", "dataset validate"}
"""Their JSON comes in lines, of which there may be none."""
NEEDED = {
    "model": "gpt-6.1-sol",
    "candidate": "tiny",
    "dataset": "sales",
    "input_": "1",
    "output": "1",
    "part": "5",
    "scope": "read",
    "source": "chat",
    "target": "other.sqlite3",
    "out": "parts",
    "file": "train.jsonl",
    "verdict": "success",
    "heldout": "0",
}
"""What a required parameter of this name gets; one without an entry gets the id of a call."""
ESCAPE = "\x1b"
HOSTILE = ["", "-", "\x1b[2J\x07'; DROP TABLE calls; -- é\u202e\u200b\n\r", "9" * 400]


@pytest.fixture(autouse=True)
def _stand_in_a_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that are named relatively are made here, and the sources around us are nobody's project."""
    folder = tmp_path / "here"
    folder.mkdir()
    monkeypatch.chdir(folder)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    line = {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}
    (folder / "train.jsonl").write_text(json.dumps(line) + "\n")


def required(command: Any, call_id: str) -> list[str]:
    """Give a command what it cannot do without."""
    words: list[str] = []
    for one in command.params:
        if one.required:
            value = NEEDED.get(one.name, call_id)
            words += [value] if one.param_type_name == "argument" else [one.opts[0], value]
    return words


def takes(command: Any, option: str) -> bool:
    return any(option in one.opts for one in command.params)


@pytest.fixture
def filled(cli: Any, home: Any) -> str:
    """A home with calls, hostile ones too, feedback, an experiment and a price; gives the id of a call."""
    asked = {"model": "m", "messages": [{"role": "user", "content": "hi\x1b[2J\u202e"}]}
    said = {"choices": [{"message": {"role": "assistant", "content": "\x9b31mho"}}]}
    calls = [
        home.call(id=f"call-{number}", dataset="sales", request=asked, response=said, requested_model="gpt-\x1b[31m")
        for number in range(30)
    ]
    home.spool(
        *calls, home.call(dataset="\x1b]0;owned\x07"), home.feedback("call-0", label="success", comment="\x1b[5m")
    )
    assert cli("experiment", "start", "call-0", "--model", "gpt-*", "--candidate", "t", "--share", "5").code == 0
    return "call-0"


@pytest.mark.parametrize("path", TREE, ids=lambda path: " ".join(path) or "logos-shift")
def test_help(cli: Any, path: tuple[str, ...]) -> None:
    """Within 80 columns with nothing cut, and a command has an example, which calls it."""
    ended = cli(*path, "--help")
    assert (ended.code, ended.err) == (0, "")
    assert max(map(len, ended.out.splitlines())) <= 80
    if path not in LEAVES:
        cut = [line for line in ended.out.partition("Commands:")[2].splitlines() if line.endswith("...")]
        assert cut == []
    else:
        said = re.sub(r"--home \S+ ", "", ended.out.partition("Example:")[2])
        assert f"logos-shift {' '.join(path)}" in said.replace("logos-shift --home", "logos-shift")


@pytest.mark.parametrize("name", NAMES)
def test_examples_are_command_lines(name: str) -> None:
    """Each example in a help is read by the command line that it is an example of."""
    for file in ("mine.jsonl", "conversations.jsonl", "observations.jsonl.gz", "pairs.jsonl"):
        Path(file).touch()
    Path("src").mkdir()
    lines = re.sub(r"\\\n\s*", " ", LEAVES[tuple(name.split())].epilog).splitlines()
    found = [read(words) for words in our_commands(lines)]
    assert tuple(name.split()) in found


@pytest.mark.parametrize("name", NAMES)
def test_json_is_offered(name: str) -> None:
    """By every command but those that say here why not."""
    assert takes(LEAVES[tuple(name.split())], "--json") is (name not in NO_JSON)


def judge(ended: Any) -> None:
    """Hold an end to what holds for all: known exit codes, nothing that steers a terminal, one line for a fault."""
    assert ended.code in {0, 1, 2}, ended
    assert ESCAPE not in ended.out + ended.err
    assert not re.search(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\u202e]", ended.out + ended.err)
    assert "Traceback" not in ended.out + ended.err
    if ended.code == 2:
        assert "Usage:" in ended.err
        assert ended.out == ""


def judge_json(ended: Any, *, lines: bool) -> None:
    """What is on stdout is JSON, one value or one a line; where there is nothing, a fault says why."""
    judge(ended)
    if lines:
        for line in ended.out.splitlines():
            json.loads(line)
    elif ended.out:
        json.loads(ended.out)
    else:
        assert ended.code
    if ended.code == 1 and not ended.out:
        assert ended.err.startswith("logos-shift: ")
        assert ended.err.count("\n") == 1


RUN = [name for name in NAMES if name not in NOT_RUN]


@pytest.mark.parametrize("name", RUN)
def test_on_an_empty_home(cli: Any, name: str) -> None:
    """Said in a line, or empty JSON; and without --json the same exit code."""
    path = tuple(name.split())
    words = required(LEAVES[path], "call-0")
    asked = ["--json"] if takes(LEAVES[path], "--json") else []
    judge_json(cli(*path, *words, *asked), lines=name in LINES)


@pytest.mark.parametrize("name", RUN)
def test_on_a_filled_home(cli: Any, filled: str, name: str) -> None:
    """In JSON and in words, each without anything that steers a terminal."""
    path = tuple(name.split())
    words = required(LEAVES[path], filled)
    if takes(LEAVES[path], "--json"):
        judge_json(cli(*path, *words, "--json"), lines=name in LINES)
    judge(cli(*path, *words))


@pytest.mark.parametrize("name", RUN)
def test_nonsense_is_a_fault_and_no_crash(cli: Any, filled: str, name: str) -> None:
    """In each place that takes a text, one after the other."""
    path = tuple(name.split())
    base = required(LEAVES[path], filled)
    for one in LEAVES[path].params:
        if one.param_type_name == "option" and one.is_flag:
            continue
        for text in HOSTILE:
            if one.param_type_name == "option":
                words = [*base, one.opts[0], text]
            elif one.required:
                words = [text if word == NEEDED.get(one.name, filled) else word for word in base]
            else:
                words = [*base, text]
            judge(cli(*path, *words))


@pytest.mark.parametrize("text", HOSTILE[1:])
def test_a_home_that_is_nonsense(cli: Any, text: str) -> None:
    """As any other text."""
    for words in (["stats"], ["doctor", "--json"], ["experiment", "list"], ["tune", "list"]):
        judge(cli("--home", text, *words))


def test_bytes_that_are_no_text_are_refused_at_the_door(cli: Any) -> None:
    """Python hands them on as lone surrogates, which could be neither kept nor shown."""
    for words in (("calls", "show", "\udcff"), ("\udcff",), ("--home", "\udcff", "stats")):
        ended = cli(*words)
        assert (ended.code, ended.out) == (2, "")
        assert "'\\udcff' is not UTF-8" in ended.err
