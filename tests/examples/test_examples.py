"""The examples are run as a user runs them, against the lab; their output and what they recorded is looked at."""

from __future__ import annotations

import json
import os
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import SimpleNamespace
from typing import NamedTuple

import pytest
import requests

from logos_shift_openai.lab import Lab

TAKES = 30
ROOT = Path(__file__).parents[2]
FOLDER = ROOT / "examples"


class Expected(NamedTuple):
    """What an example prints, among other lines, and how many calls and feedbacks it leaves in its home."""

    line: str
    calls: int
    feedbacks: int
    asked: int


EXAMPLES = {
    "quickstart.py": Expected(r"answer: age_limit", 1, 2, 1),
    "streaming.py": Expected(r"thumb up for [0-9a-f-]{36}", 1, 1, 1),
    "async_chat.py": Expected(r"ann: activate_my_card", 3, 3, 3),
    "ab_test.py": Expected(
        r"ann: candidate, answered by tiny-base \(user bucket 89 is below the share 3000\)", 5, 0, 5
    ),
    "redaction.py": Expected(r"kept: I am Ann Smith, \[redacted:email\]\. How do I cancel a transfer\? .*", 2, 0, 2),
    "aws_lambda.py": Expected(r"reply: card_about_to_expire", 1, 0, 1),
    "framework.py": Expected(r"apple_pay_or_google_pay, call [0-9a-f-]{36}", 1, 1, 1),
    "batch_classifier.py": Expected(r"6 of 6 right", 6, 6, 6),
    "agent_with_tools.py": Expected(r"thumb up for [0-9a-f-]{36}", 2, 1, 1),
    "decorator.py": Expected(r"sort_ticket for ann: payments, tried .*", 0, 0, 0),  # its home is a folder of its own
}


@pytest.fixture(scope="module")
def lab():
    with Lab(latency=0, accuracy=1.0) as running:
        yield running


def run(lab, name, *arguments):
    """Run an example to its end, with the environment a user would set; gives what it printed."""
    command = [sys.executable, FOLDER / name, *arguments]
    done = subprocess.run(command, env=environment(lab), capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 0, done.stderr
    assert "Traceback" not in done.stderr
    return done.stdout


def environment(lab):
    """Give the environment that a user would set."""
    return {
        **os.environ,
        "OPENAI_BASE_URL": lab.base_url,
        "OPENAI_API_KEY": "any",
        "MODEL": "oracle-large",
        "CANDIDATE": "tiny-base",
        "PYTHONPATH": os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")])),
    }


def kept(home):
    """Give the records that the process left in its home."""
    lines = [line for path in home.glob("spool/local/*/*.ndjson") for line in path.read_text().splitlines()]
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("name", EXAMPLES)
def test_example(lab, home, name):
    """An example ends well, prints its key line, asks the provider as often as it says, and leaves its records."""
    expected = EXAMPLES[name]
    before = len(lab.requests)
    printed = run(lab, name)
    assert any(re.fullmatch(expected.line, line) for line in printed.splitlines()), printed
    asked = list(lab.requests)[before:]
    assert len(asked) == expected.asked
    records = kept(home)
    kinds = [record["kind"] for record in records]
    assert (kinds.count("call"), kinds.count("feedback")) == (expected.calls, expected.feedbacks)
    ids = {record["id"] for record in records}
    assert all(record["call_id"] in ids for record in records if record["kind"] == "feedback")
    assert all(record["complete"] for record in records if record["kind"] == "call")


def test_streaming_thumb_down(lab, home):
    """The thumb of the command line reaches the record of the stream."""
    run(lab, "streaming.py", "down")
    call, feedback = sorted(kept(home), key=lambda record: record["kind"])
    assert call["stream"] is True
    assert call["response"]["usage"]["total_tokens"] > 0
    assert (feedback["call_id"], feedback["label"]) == (call["id"], "failure")


def test_async_context(lab, home):
    """Each task's call has its own user and conversation."""
    run(lab, "async_chat.py")
    said = {(record["user_id"], record["conversation_id"]) for record in kept(home) if record["kind"] == "call"}
    assert said == {("ann", "chat-of-ann"), ("bob", "chat-of-bob"), ("cleo", "chat-of-cleo")}


def test_ab_test_keeps_its_word(lab, home):
    """`explain` told of every user what the records say was done."""
    printed = run(lab, "ab_test.py")
    told = {tuple(line.partition(",")[0].split(": ")) for line in printed.splitlines()}
    done = {(record["user_id"], record["served"]) for record in kept(home)}
    assert told == done
    assert {variant for _, variant in done} == {"baseline", "candidate"}


def test_redaction_keeps_nothing_of_it(lab, home):
    """What the two clients take out is nowhere in the lines they wrote, though the model got it."""
    run(lab, "redaction.py")
    by_rule, by_function = (json.dumps(record) for record in kept(home))
    if "[customer]" in by_rule:
        by_rule, by_function = by_function, by_rule
    assert "ann@example.com" not in by_rule
    assert "Ann Smith" not in by_function
    assert "Ann Smith, ann@example.com" in json.dumps(list(lab.requests)[-1].body)


def test_framework_headers_stay(lab, home):
    """The headers say their part in the record and never reach the provider."""
    run(lab, "framework.py")
    (call,) = [record for record in kept(home) if record["kind"] == "call"]
    assert (call["dataset"], call["user_id"], call["metadata"]) == ("sales", "42", {"campaign": "spring"})
    assert not [name for name in list(lab.requests)[-1].headers if "logos-shift" in name.lower()]


def test_readme_lists_every_example():
    """The table of the README and the programs that are run here are those of the folder."""
    listed = re.findall(r"^\| \[([\w.]+)\]\(\1\) \|", (FOLDER / "README.md").read_text(), re.MULTILINE)
    programs = sorted(path.name for path in FOLDER.glob("*.py"))
    assert sorted(listed) == sorted([*EXAMPLES, "fastapi_chat.py"]) == programs


class Caller(BaseHTTPRequestHandler):
    """A provider whose model first calls a tool and then answers with what the tool gave."""

    def do_POST(self):
        asked = json.loads(self.rfile.read(int(self.headers["content-length"])))
        last = asked["messages"][-1]
        if last["role"] == "tool":
            message = {"role": "assistant", "content": f"It is {json.loads(last['content'])['celsius']} degrees."}
        else:
            function = {"name": asked["tools"][0]["function"]["name"], "arguments": '{"city": "Oslo"}'}
            tool = {"id": "call_1", "type": "function", "function": function}
            message = {"role": "assistant", "content": None, "tool_calls": [tool]}
        choice = {"index": 0, "message": message, "finish_reason": "stop", "logprobs": None}
        body = json.dumps(
            {"id": "c", "object": "chat.completion", "created": 1, "model": asked["model"], "choices": [choice]}
        ).encode()
        self.send_response(200)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


def test_agent_turns(lab, home, monkeypatch):
    """The tool is called, its answer comes back, and the two calls are children of the agent's record."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Caller)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    try:
        lab_of_tools = SimpleNamespace(base_url=f"http://127.0.0.1:{server.server_port}/v1")
        assert "answer: It is 12 degrees." in run(lab_of_tools, "agent_with_tools.py")
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
    calls = [record for record in kept(home) if record["kind"] == "call"]
    parents = [record for record in calls if record["endpoint"] == "function"]
    assert [record.get("parent") for record in calls if record["endpoint"] != "function"] == [parents[0]["id"]] * 2


def test_fastapi_chat(lab, home):
    """The page is served, an answer streams behind its id, and the thumb reaches that call's record."""
    port = free_port()
    process = subprocess.Popen(
        [sys.executable, FOLDER / "fastapi_chat.py"],
        env={**environment(lab), "PORT": str(port)},
        stderr=subprocess.PIPE,
    )
    try:
        url = f"http://127.0.0.1:{port}"
        page = answer_of(url)
        assert "<title>Chat</title>" in page.text
        asked = {"text": "How old do I have to be to open an account?", "user": "ann"}
        streamed = requests.post(f"{url}/ask", json=asked, timeout=90).text
        call_id = re.match(r"event: id\ndata: ([0-9a-f-]{36})\n\n", streamed)[1]
        text = "".join(json.loads(one) for one in re.findall(r"^data: (\".*\")$", streamed, re.MULTILINE))
        assert text == "age_limit"
        assert requests.post(f"{url}/thumb", json={"id": call_id, "up": False}, timeout=90).ok
    finally:
        process.send_signal(signal.SIGINT)
        process.communicate(timeout=90)
    call, feedback = sorted(kept(home), key=lambda record: record["kind"])
    assert (call["id"], call["dataset"], call["user_id"], call["stream"]) == (call_id, "chat", "ann", True)
    assert (feedback["call_id"], feedback["value"]) == (call_id, 0.0)


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


def answer_of(url):
    """Ask until the server has come up."""
    end = time.monotonic() + 90
    while True:
        try:
            return requests.get(url, timeout=90)
        except requests.ConnectionError:
            assert time.monotonic() < end
            time.sleep(0.05)
