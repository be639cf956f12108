"""`logos-shift dataset`: an edition built, shown, exported, checked and split as a person does it."""

from __future__ import annotations

import json
from typing import Any

import pytest

SYSTEM = {"role": "system", "content": "Name the intent."}


def fill(home: Any, count: int = 40) -> None:
    lines = []
    for number in range(count):
        request = {"messages": [SYSTEM, {"role": "user", "content": f"question {number}"}]}
        answer = {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": f"a{number % 4}"}}]}
        lines.append(home.call(request=request, response=answer, dataset="intents"))
    home.spool(*lines)


def test_from_calls_to_a_file_that_is_checked(home: Any, cli: Any, tmp_path: Any) -> None:
    """Built, listed, shown, exported in each dialect, valid in each."""
    fill(home)
    built = cli("dataset", "build", "intents", "--json").json
    listed = cli("dataset", "list", "--json").json
    assert [one["name"] for one in listed["datasets"]] == ["intents"]
    assert [one["id"] for one in listed["editions"]] == [built["id"]]
    shown = cli("dataset", "show", built["id"][:8])
    assert (shown.code, "held out" in shown.out, "an estimate" in shown.out) == (0, True, True)
    assert built["id"][:8] in cli("dataset", "list").out
    for dialect in ("openai-chat", "trl", "together", "fireworks"):
        written = cli("dataset", "export", built["id"], "--dialect", dialect)
        assert written.code == 0
        path = tmp_path / f"{dialect}.jsonl"
        path.write_text(written.out, encoding="utf-8")
        checked = cli("dataset", "validate", str(path), "--dialect", dialect)
        assert (checked.code, f"all good {dialect}" in checked.out) == (0, True)
    none = cli("dataset", "export", built["id"], "--dialect", "openai-preference")
    assert (none.code, none.out) == (1, "")
    assert "which openai-preference cannot hold" in none.err
    assert cli("dataset", "remove", built["id"]).code == 0
    assert cli("dataset", "show", built["id"]).code == 1


def test_nothing_to_build_is_one_line_with_a_next_step(home: Any, cli: Any) -> None:
    """Of a dataset that is not there, and of one without examples."""
    ended = cli("dataset", "build", "nix")
    assert (ended.code, ended.out) == (1, "")
    assert "see logos-shift dataset list" in ended.err
    home.spool(home.call(dataset="empty", complete=False))
    assert "1 of 1 left out because" in cli("dataset", "build", "empty").err
    assert cli("dataset", "build", "empty", "--metadata", "plan").code == 2


def test_faults_of_a_file_have_lines_and_paths(cli: Any, tmp_path: Any) -> None:
    """The first twenty, or all; as JSON too; exit code 1."""
    path = tmp_path / "bad.jsonl"
    good = json.dumps({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]})
    path.write_bytes(b"\xef\xbb\xbf" + good.encode() + b'\n{"messages":[{"role":"x"}]}\n\xff\n\n' + b"{\n" * 30)
    ended = cli("dataset", "validate", str(path))
    assert ended.code == 1
    assert ended.out.splitlines()[0].startswith("line 2: messages[0].role")
    assert "line 3: is not UTF-8" in ended.out
    assert len(ended.out.splitlines()) == 20
    assert "--all shows the other" in ended.err
    faults = [json.loads(line) for line in cli("dataset", "validate", str(path), "--json").out.splitlines()]
    assert {"line": 4, "path": "", "what": "is empty"} in faults
    assert cli("dataset", "validate", str(tmp_path / "none")).code == 1
    short = tmp_path / "short.jsonl"
    short.write_text(good, encoding="utf-8")
    assert "has 1 rows; openai-chat takes 10 at least" in cli("dataset", "validate", str(short)).out
    assert cli("dataset", "validate", str(short), "--dialect", "together").code == 0


def test_a_file_of_ones_own_is_split(cli: Any, tmp_path: Any) -> None:
    """By the prompt, letters made small; nothing is overwritten."""
    path, out = tmp_path / "mine.jsonl", tmp_path / "out"
    lines = []
    for number in range(100):
        for text in (f"question {number}", f"QUESTION  {number}"):
            messages = [SYSTEM, {"role": "user", "content": text}, {"role": "assistant", "content": "b"}]
            lines.append(json.dumps({"messages": messages}))
    path.write_text("\n".join(lines), encoding="utf-8")
    assert cli("dataset", "split", str(path), "--heldout", "30", "--out", str(out)).code == 0
    sides = [
        [json.loads(line)["messages"][1]["content"] for line in (out / name).read_text().splitlines()]
        for name in ("train.jsonl", "heldout.jsonl")
    ]
    assert sum(map(len, sides)) == 200
    assert 30 < len(sides[1]) < 90
    even = [{" ".join(text.lower().split()) for text in side} for side in sides]
    assert not even[0] & even[1]
    again = cli("dataset", "split", str(path), "--out", str(out))
    assert (again.code, "File exists" in again.err) == (1, True)
    path.write_text("{}", encoding="utf-8")
    assert "line 1: has no prompt" in cli("dataset", "split", str(path), "--out", str(tmp_path / "other")).err


@pytest.mark.parametrize("near", ["0.8"])
def test_near_duplicates_need_their_extra(home: Any, cli: Any, monkeypatch: Any, near: str) -> None:
    """Said in one line."""
    fill(home, 3)
    monkeypatch.setitem(__import__("sys").modules, "rensa", None)
    ended = cli("dataset", "build", "intents", "--near", near)
    assert (ended.code, 'pip install "logos_shift_openai[neardup]"' in ended.err) == (1, True)
