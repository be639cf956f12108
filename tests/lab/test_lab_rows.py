"""Rows of one's own in a file: every form of a line, every fault with its number, and the command that serves them."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import openai
import pytest

from logos_shift_openai.lab.answers import Call
from logos_shift_openai.lab.rows import read_rows

CALL = {"id": "a", "type": "function", "function": {"name": "f", "arguments": '{"x": 1}'}}
USER = {"role": "user", "content": "q"}


@pytest.mark.parametrize(
    ("row", "answer"),
    [
        ({"text": "q", "answer": "label"}, "label"),
        ({"text": "q", "answer": {"intents": ["é"]}}, '{"intents": ["é"]}'),
        ({"text": "q", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}, (Call("f", '{"x": 1}'),)),
        ({"text": "q", "tool_calls": [CALL, {"name": "g"}]}, (Call("f", '{"x": 1}'), Call("g", "{}"))),
        ({"messages": [USER, {"role": "assistant", "content": "label"}]}, "label"),
        ({"messages": [USER, {"role": "assistant", "tool_calls": [CALL]}]}, (Call("f", '{"x": 1}'),)),
    ],
)
def test_every_form_of_a_row_is_read(tmp_path: Path, row: object, answer: object) -> None:
    """A label, JSON, calls in short and as OpenAI writes them, or a line of a training file."""
    path = tmp_path / "rows.jsonl"
    path.write_text("\ufeff" + json.dumps(row) + "\r\n\r\n", encoding="utf-8")
    assert read_rows(path) == [("q", answer)]


def test_the_rows_of_the_docs_are_rows(tmp_path: Path) -> None:
    """The block in the page about the lab can be pasted into a file."""
    page = (Path(__file__).parents[2] / "docs" / "lab.md").read_text(encoding="utf-8")
    (tmp_path / "rows.jsonl").write_text(page.partition("```json\n")[2].partition("```")[0], encoding="utf-8")
    assert [text for text, _ in read_rows(tmp_path / "rows.jsonl")] == [
        "Where is my card?",
        "Move it to Friday",
        "Weather in Rome?",
        "Hi",
    ]


@pytest.mark.parametrize(
    ("row", "fault"),
    [
        ("[]", "not a JSON object"),
        ("{", "Expecting property name"),
        ('{"answer": "a"}', "there is no question"),
        ('{"text": "q"}', "there is no answer"),
        ('{"text": "q", "tool_calls": []}', "there is no answer"),
        ('{"text": "q", "tool_calls": [1]}', "'tool_calls' is not a list of objects"),
        ('{"text": "q", "tool_calls": [{"arguments": {}}]}', "a call has no 'name'"),
        ('{"text": "q", "tool_calls": [{"name": "f", "arguments": "[]"}]}', "the arguments of 'f' are not an object"),
        ('{"messages": [{"role": "user", "content": "q"}]}', "there is no answer"),
        ('{"messages": 3}', "'messages' is not a list"),
    ],
)
def test_a_fault_is_named_with_its_line(tmp_path: Path, row: str, fault: str) -> None:
    """The first line that is no row stops the reading."""
    path = tmp_path / "rows.jsonl"
    path.write_text('{"text": "q", "answer": "a"}\n' + row)
    with pytest.raises(ValueError, match=r"^rows\.jsonl, line 2: ") as caught:
        read_rows(path)
    assert fault in str(caught.value)


def test_a_file_without_rows_is_refused(tmp_path: Path) -> None:
    """Blank lines are no rows."""
    (tmp_path / "rows.jsonl").write_text("\n\n")
    with pytest.raises(ValueError, match="no rows"):
        read_rows(tmp_path / "rows.jsonl")


def test_the_command_serves_a_file_and_announces_an_end(tmp_path: Path) -> None:
    """``--rows`` and ``--shutdown`` as a user types them."""
    path = tmp_path / "rows.jsonl"
    path.write_text(json.dumps({"text": "q", "tool_calls": [{"name": "f", "arguments": {"x": 1}}]}))
    command = [sys.executable, "-m", "logos_shift_openai.lab", "--port", "0", "--latency", "0", "--rows", str(path)]
    command += ["--shutdown", "oracle-large=2027-01-14"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        address = next(word for word in process.stdout.readline().split() if word.startswith("http"))
        with openai.OpenAI(base_url=address, api_key="any", max_retries=0) as client:
            tool = {"type": "function", "function": {"name": "f"}}
            answer = client.chat.completions.create(model="oracle-large", messages=[USER], tools=[tool])  # type: ignore[list-item]
            dates = {model.id: model.model_dump()["shutdown_date"] for model in client.models.list()}
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0
    (call,) = answer.choices[0].message.tool_calls or ()
    assert call.model_dump()["function"] == {"name": "f", "arguments": '{"x": 1}'}
    assert dates == {"oracle-large": "2027-01-14", "tiny-base": None}


def test_the_command_names_a_bad_row(tmp_path: Path) -> None:
    """One line, exit code 1."""
    path = tmp_path / "rows.jsonl"
    path.write_text("{}")
    command = [sys.executable, "-m", "logos_shift_openai.lab", "--port", "0", "--rows", str(path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert (done.returncode, done.stderr.count("\n")) == (1, 1)
    assert "rows.jsonl, line 1: there is no question" in done.stderr
