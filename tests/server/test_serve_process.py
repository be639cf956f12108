"""`logos-shift serve` as a process: its first key, its end, and what it will not do."""

from __future__ import annotations

import subprocess
import sys
import threading
import time

import requests
from served import NDJSON, ROOT, Lines, wait_until


def test_the_first_key_is_shown_at_the_first_start_alone(process):
    """It may do everything; the second start says nothing of it."""
    first = process()
    assert first.key
    answer = requests.get(f"{first.url}/v1/keys", headers={"Authorization": f"Bearer {first.key}"}, timeout=90)
    assert [key["scope"] for key in answer.json()["keys"]] == ["admin"]
    code, errors = first.end()
    assert code == 0
    assert first.key not in errors
    second = process()
    assert second.key is None
    assert first.key not in second.said


def test_a_sigterm_ends_in_time_and_what_was_accepted_is_there(process):
    """With batches on their way and clients that wait for a config."""
    server = process()
    headers = {"Authorization": f"Bearer {server.key}"}
    etag = requests.get(f"{server.url}/v1/config", headers=headers, timeout=90).headers["ETag"]
    accepted, waited, stop = [], [], threading.Event()

    def send(seed):
        maker = Lines(seed)
        while not stop.is_set():
            batch = [maker.call() for _ in range(20)]
            try:
                answer = requests.post(
                    f"{server.url}/v1/records", data=b"".join(batch), headers={**headers, **NDJSON}, timeout=90
                )
            except requests.ConnectionError:
                return
            if answer.status_code == 200:
                accepted.append(answer.json()["new"])

    def wait():
        waited.append(
            requests.get(
                f"{server.url}/v1/config?wait=30", headers={**headers, "If-None-Match": etag}, timeout=90
            ).status_code
        )

    threads = [threading.Thread(target=send, args=(seed,)) for seed in range(4)] + [threading.Thread(target=wait)]
    for thread in threads:
        thread.start()
    wait_until(lambda: len(accepted) > 10, 90)
    started = time.monotonic()
    code, errors = server.end()
    took = time.monotonic() - started
    stop.set()
    for thread in threads:
        thread.join()
    assert (code, waited) == (0, [304])
    assert took < 20  # the 30 s of the client that waits are not waited for
    assert "Traceback" not in errors
    again = process(home=server.home)
    stats = requests.get(f"{again.url}/v1/stats", headers=headers, timeout=90).json()
    assert stats["totals"]["calls"] >= sum(accepted)
    assert stats["totals"]["calls"] <= sum(accepted) + 4 * 20


def run(*arguments):
    return subprocess.run(
        [sys.executable, "-m", "logos_shift_openai.cli", *arguments],
        capture_output=True,
        text=True,
        cwd=ROOT,
        timeout=90,
        check=False,
    )


def test_no_auth_is_refused_where_others_can_reach(tmp_path):
    """In one line, before anything is made."""
    ended = run("--home", str(tmp_path / "h"), "serve", "--no-auth", "--host", "0.0.0.0")
    assert ended.returncode == 1
    assert ended.stderr.startswith("logos-shift: --no-auth")
    assert not (tmp_path / "h").exists()


def test_no_auth_on_loopback_needs_no_key(process):
    """And makes none."""
    server = process("--no-auth")
    assert server.key is None
    assert requests.get(f"{server.url}/v1/calls", timeout=90).status_code == 200


def test_keys_from_the_command_line_work_on_the_store(process, tmp_path):
    """Made, used, listed and revoked, beside a running server."""
    server = process()
    home = str(server.home)
    key = run("--home", home, "keys", "create", "read", "--label", "a dashboard").stdout.strip()
    ask = {"headers": {"Authorization": f"Bearer {key}"}, "timeout": 90}
    assert requests.get(f"{server.url}/v1/calls", **ask).status_code == 200
    listed = run("--home", home, "keys", "list").stdout
    assert "a dashboard" in listed
    assert key.rsplit("_", 1)[1] not in listed
    assert run("--home", home, "keys", "revoke", key.split("_")[2]).returncode == 0
    wait_until(lambda: requests.get(f"{server.url}/v1/calls", **ask).status_code == 401, 30)
    assert run("--home", home, "keys", "revoke", "nobody").returncode == 1
