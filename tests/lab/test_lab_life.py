"""Starting and stopping: nothing is left behind; and the command line."""

from __future__ import annotations

import http.client
import os
import signal
import socket
import subprocess
import sys
import threading

import openai
import pytest

from logos_shift_openai.lab import Lab


def lab_threads() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name.startswith(("lab", "Thread-"))]


def test_stopping_leaves_no_thread_and_no_port() -> None:
    """Idle connections, a request that waits, a job that trains: all end with the lab."""
    before = set(lab_threads())
    lab = Lab(latency=600).start()
    idle = http.client.HTTPConnection("127.0.0.1", int(lab.url.rpartition(":")[2]))
    idle.request("GET", "/v1/models")
    assert idle.getresponse().read()
    waiting = socket.create_connection(("127.0.0.1", idle.port))
    body = b'{"model": "oracle-large", "messages": [{"role": "user", "content": "a"}]}'
    waiting.sendall(b"POST /v1/chat/completions HTTP/1.1\r\nContent-Length: %d\r\n\r\n%b" % (len(body), body))
    while len(lab.requests) < 2:
        pass
    lab.stop()
    lab.stop()
    assert waiting.recv(1) == b""
    waiting.close()
    idle.close()
    assert set(lab_threads()) <= before
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(("127.0.0.1", idle.port)).close()


def test_a_lab_starts_once() -> None:
    """Before its start it has no address, and it starts neither twice nor again."""
    lab = Lab(latency=0)
    with pytest.raises(RuntimeError, match="not started"):
        _ = lab.base_url
    with lab:
        assert lab.base_url.endswith("/v1")
        with pytest.raises(RuntimeError, match="starts once"):
            lab.start()
    with pytest.raises(RuntimeError, match="starts once"):
        lab.start()


def test_wrong_arguments_are_refused() -> None:
    """A negative latency and an accuracy beyond 1 raise at construction."""
    with pytest.raises(ValueError, match="latency"):
        Lab(latency=-1)
    with pytest.raises(ValueError, match="accuracy"):
        Lab(accuracy=1.1)


def test_own_rows_teach_the_oracle() -> None:
    """With rows of one's own, the oracle answers those and nothing else."""
    rows = [("ping", "pong"), ("tick", "tock")]
    with (
        Lab(latency=0, rows=rows, accuracy=1.0) as lab,
        openai.OpenAI(base_url=lab.base_url, api_key="any") as client,
    ):
        for text, answer in rows:
            messages = [{"role": "user", "content": text}]
            given = client.chat.completions.create(model="oracle-large", messages=messages)
            assert given.choices[0].message.content == answer


def test_chunked_bodies_and_broken_lengths(lab: Lab) -> None:
    """A chunked request is read; a length that is no number is refused and the connection closed."""
    port = int(lab.url.rpartition(":")[2])
    connection = http.client.HTTPConnection("127.0.0.1", port)
    parts = [b'{"model": "oracle-large", ', b'"messages": [{"role": "user", "content": "a"}]}']
    connection.request("POST", "/v1/chat/completions", iter(parts), encode_chunked=True)
    assert connection.getresponse().status == 200
    connection.close()
    connection.putrequest("POST", "/v1/chat/completions")
    connection.putheader("Content-Length", "many")
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.getheader("Connection")) == (400, "close")
    connection.close()


def test_the_command_serves_until_it_is_told_to_stop() -> None:
    """It prints its address, answers there, and ends on SIGTERM with exit code 0."""
    command = [sys.executable, "-m", "logos_shift_openai.lab", "--port", "0", "--latency", "0"]
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=dict(os.environ)) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        address = next(word for word in line.split() if word.startswith("http"))
        with openai.OpenAI(base_url=address, api_key="any", max_retries=0) as client:
            assert {model.id for model in client.models.list()} == {"oracle-large", "tiny-base"}
        process.send_signal(signal.SIGTERM)
        assert process.wait(90) == 0


def test_the_command_says_why_it_cannot_start(lab: Lab) -> None:
    """A port that is taken: one line, exit code 1."""
    command = [sys.executable, "-m", "logos_shift_openai.lab", "--port", lab.url.rpartition(":")[2]]
    done = subprocess.run(command, capture_output=True, text=True, timeout=90, check=False)
    assert done.returncode == 1
    assert done.stderr.startswith("The lab could not start:")
    assert done.stderr.count("\n") == 1
