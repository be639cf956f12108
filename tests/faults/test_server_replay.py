"""A client that sends what it has sent already: a spool of yesterday, restored, adopted and sent once more."""

from __future__ import annotations

import os
import shutil
import socket
import time

import pytest

pytest.importorskip("uvicorn")
from fault_programs import deliver, lines_on_disk, run
from served_faults import ServerProcess, check_whole, kept

from logos_shift_openai.server.fold import settle
from logos_shift_openai.server.store.database import open_store
from logos_shift_openai.server.store.evidence import sums_by_key

DAY_SECONDS = 86_400
CALLS = """
import logos_shift_openai as ours
client = make()
for number in range(30):
    answer = ask(client, f"call-{number}")
    if number % 3 == 0:
        ours.provide_feedback(answer.logos_shift_id, number / 30)
ours.flush(0.5)
os._exit(0)
"""


def free_port():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        return free.getsockname()[1]


def state(where):
    """What is kept, and what is counted of it."""
    store = open_store(where)
    try:
        settle(store, time.time_ns() // 1_000_000)
        check_whole(store)
        with store.reading() as connection:
            return kept(store), sums_by_key(connection)
    finally:
        store.close()


@pytest.mark.parametrize("engine", ["sqlite", "postgresql"])
def test_a_spool_of_yesterday_counts_once(engine, tmp_path, home, provider, monkeypatch, request):
    """Written while the server was away, sent, restored from a backup a day later, and sent again."""
    database = request.getfixturevalue("postgres_url") if engine == "postgresql" else None
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    run(CALLS, home, provider, url)
    written = {line["id"] for line in lines_on_disk(home)}
    assert len(written) == 40
    shutil.copytree(home / "spool", tmp_path / "backup")
    server = ServerProcess(tmp_path / "server", database, port=port)
    try:
        monkeypatch.setenv("LOGOS_SHIFT_API_KEY", server.key)
        deliver(home, url)
        where = database or tmp_path / "server" / "store.sqlite3"
        first = state(where)
        assert first[0] == dict.fromkeys(written, 1)
        shutil.rmtree(home / "spool")
        shutil.copytree(tmp_path / "backup", home / "spool")
        yesterday = time.time() - DAY_SECONDS
        for path in home.glob("spool/**/*"):
            os.utime(path, (yesterday, yesterday))
        assert {line["id"] for line in lines_on_disk(home)} == written
        deliver(home, url)
        assert lines_on_disk(home) == []
        assert state(where) == first
        assert 'logos_records_total{outcome="seen"} 40\n' in server.get("/metrics").text

        assert server.end() == 0
    finally:
        server.kill()
