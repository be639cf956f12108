"""`logos-shift import` into the embedded store, into a real server, and from an API that stores completions."""

from __future__ import annotations

import json
import sys
import threading
from contextlib import closing
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

import pytest
import requests

sys.path.append(str(Path(__file__).parents[1] / "server"))
from served import Process


def lines(path, count=5, **more):
    entries = [
        {
            "messages": [{"role": "user", "content": f"q{n}"}, {"role": "assistant", "content": f"a{n}"}],
            "model": "m",
            "feedback": n % 2,
            **more,
        }
        for n in range(count)
    ]
    path.write_text("".join(json.dumps(entry) + "\n" for entry in entries))
    return str(path)


def test_into_the_embedded_store_and_again(cli, tmp_path):
    """What is imported is listed, with its feedback; importing again adds nothing."""
    file = lines(tmp_path / "chat.jsonl")
    first = cli("import", "chat", file, "--dataset", "old", "--json").json
    assert (first["entries"], first["new"], first["refused"], first["kept"]) == (5, 10, 0, True)
    again = cli("import", "chat", file, "--dataset", "old", "--json").json
    assert (again["new"], again["seen"]) == (0, 10)
    calls = cli("calls", "list", "--dataset", "old", "--json").json
    assert len(calls) == 5
    shown = cli("calls", "show", calls[0]["id"])
    assert "imported from chat" in shown.out
    assert len(cli("calls", "list", "--dataset", "old", "--feedback", "success", "--json").json) == 2


def test_a_dry_run_keeps_nothing(cli, tmp_path):
    result = cli("import", "chat", lines(tmp_path / "chat.jsonl"), "--dry-run")
    assert result.out == "5 entries: 10 records would be new.\n"
    assert cli("calls", "list", "--json").json == []


def test_faults_are_named_and_the_rest_goes_in(cli, tmp_path):
    path = tmp_path / "chat.jsonl"
    lines(path, 2)
    path.write_text(path.read_text() + "{broken\n" + json.dumps({"messages": []}) + "\n")
    result = cli("import", "chat", str(path))
    assert (result.code, result.out) == (0, "4 entries: 4 records new, 2 refused.\n")
    assert "line 3: no JSON" in result.err
    assert "line 4: messages: no messages" in result.err


def test_nothing_but_faults_is_a_failure(cli, tmp_path):
    (tmp_path / "x").write_text("{broken\nx\n")
    assert cli("import", "langfuse", str(tmp_path / "x")).code == 1


def test_model_and_limit(cli, tmp_path):
    file = lines(tmp_path / "chat.jsonl")
    assert cli("import", "chat", file, "--limit", "2", "--json").json["entries"] == 2
    other = cli("import", "chat", file, "--model", "other", "--json").json
    assert (other["new"], other["passed_over"]) == (0, 5)


def test_a_file_is_needed(cli):
    result = cli("import", "langsmith")
    assert result.code == 2
    assert "langsmith is imported from a file" in result.err
    assert cli("import", "chat", "/nowhere").code == 2
    assert cli("import", "chatty", "/nowhere").code == 2


def test_into_a_server(cli, tmp_path, monkeypatch):
    """With a server's address the calls go there; a wrong key ends in one line."""
    server = Process(tmp_path / "served")
    with closing(_Ending(server)):
        monkeypatch.setenv("LOGOS_SHIFT_URL", server.url)
        monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
        found = cli("import", "chat", lines(tmp_path / "chat.jsonl", 450), "--json").json
        assert (found["new"], found["refused"]) == (900, 0)
        there = requests.get(
            f"{server.url}/v1/calls?limit=5", headers={"Authorization": f"Bearer {server.key}"}, timeout=90
        )
        assert len(there.json()["calls"]) == 5
        monkeypatch.setenv("LOGOS_SHIFT_API_KEY", "wrong")
        refused = cli("import", "chat", str(tmp_path / "chat.jsonl"))
        assert (refused.code, refused.err.count("\n")) == (1, 1)


class _Ending:
    def __init__(self, process):
        self.close = process.end


class Stored(BaseHTTPRequestHandler):
    """Lists two stored completions on two pages, with their messages."""

    def do_GET(self):
        parts = urlsplit(self.path)
        if parts.path.endswith("/messages"):
            data = [{"id": "m-0", "role": "user", "content": f"asked {parts.path.split('/')[-2]}"}]
            self.say({"object": "list", "data": data, "has_more": False})
            return
        after = parse_qs(parts.query).get("after")
        number = 2 if after else 1
        one = {
            "id": f"chatcmpl-{number}", "object": "chat.completion", "created": 1_790_000_000 + number, "model": "m",
            "choices": [{"index": 0, "finish_reason": "stop", "message": {"role": "assistant", "content": "yes"}}],
        }  # fmt: skip
        self.say({"object": "list", "data": [one], "has_more": not after, "first_id": one["id"], "last_id": one["id"]})

    def say(self, value):
        body = json.dumps(value).encode()
        self.send_response(200 if self.headers["Authorization"] == "Bearer sk-good" else 401)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_):
        pass


@pytest.fixture
def stored(monkeypatch):
    server = HTTPServer(("127.0.0.1", 0), Stored)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    monkeypatch.setenv("OPENAI_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
    monkeypatch.setenv("OPENAI_API_KEY", "sk-good")
    yield
    server.shutdown()
    thread.join()
    server.server_close()


def test_stored_completions_of_the_api(cli, stored, monkeypatch):
    """All pages are read, each completion with what was asked; a bad key ends in one line."""
    assert cli("import", "openai", "--json").json["new"] == 2
    (latest, _) = cli("calls", "list", "--json").json
    assert latest["provider_id"] == "chatcmpl-2"
    assert "asked chatcmpl-2" in cli("calls", "show", latest["id"]).out
    monkeypatch.setenv("OPENAI_API_KEY", "sk-bad")
    refused = cli("import", "openai")
    assert (refused.code, "cannot be read" in refused.err) == (1, True)
