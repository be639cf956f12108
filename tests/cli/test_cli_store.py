"""`logos-shift store`: what it shows and does on a real home folder."""

from __future__ import annotations

import sqlite3
from typing import Any

from logos_shift_openai.server.store.schema import REVISION


def fill(cli: Any, home: Any, count: int = 40) -> None:
    home.spool(*(home.call(id=f"c{n}", dataset="sales") for n in range(count)), home.feedback("c1", label="success"))
    assert cli("calls", "list").code == 0


def test_there_is_nothing_to_look_after_yet(cli: Any) -> None:
    """A missing store is said in one line and not made; `migrate` makes it."""
    ended = cli("store", "stats")
    assert (ended.code, "there is no store" in ended.err) == (1, True)
    assert f"its schema is version {REVISION}" in cli("store", "migrate").out
    assert cli("store", "stats").code == 0


def test_sizes(cli: Any, home: Any) -> None:
    """Rows by table and bytes, for people and as JSON."""
    fill(cli, home)
    found = cli("store", "stats", "--json").json
    assert found["rows"]["calls"] == 40
    assert found["rows"]["feedback"] == 1
    assert found["rows"]["evidence_deltas"] == 0
    assert found["engine"] == "sqlite"
    assert found["per_call"] * 40 == found["size"]
    flat = " ".join(cli("store", "stats").out.split())
    assert "calls 40 call bodies 40 feedback 1" in flat


def test_how_long_records_are_kept(cli: Any, home: Any) -> None:
    """Rules are set, shown, enforced by vacuum, and taken back; the counts stay."""
    fill(cli, home)
    assert "kept for good" in cli("store", "keep").out
    home.spool(home.call(id="old", at=home.now - 40 * 86_400_000, dataset="sales"))
    assert cli("stats").code == 0
    assert cli("store", "keep", "--days", "30", "--body-days", "7").out == "*: calls 30 days, bodies 7 days\n"
    assert cli("store", "keep", "sales", "--days", "3", "--json").json[1] == {
        "dataset": "sales",
        "days": 3,
        "body_days": None,
    }
    done = cli("store", "vacuum", "--json").json
    assert done["removed"]["calls"] == 1
    assert cli("stats", "--json").json["totals"]["calls"] == 41
    assert cli("store", "stats", "--json").json["rows"]["calls"] == 40
    assert "calls for good, bodies as long" in cli("store", "keep", "sales", "--forever").out
    assert cli("store", "keep", "--forever", "--days", "2").code == 2


def test_vacuum_packs_old_bodies_anew(cli: Any, home: Any) -> None:
    """Bodies that came before the dictionary get smaller, and the file with them."""
    request = {"model": "m", "messages": [{"role": "system", "content": "You answer for the shop. " * 20}]}
    home.spool(*(home.call(id=f"c{n}", dataset="sales", request={**request, "n": n**7}) for n in range(400)))
    assert cli("calls", "list", "--limit", "1").code == 0
    ended = cli("store", "vacuum")
    assert "400 bodies packed anew" in ended.out
    assert cli("calls", "show", "c7", "--json").json["request"]["n"] == 7**7


def test_a_store_moves_into_another_file(cli: Any, home: Any, tmp_path: Any) -> None:
    """The tables are compared; a second run changes nothing; into itself it does not go."""
    fill(cli, home)
    target = tmp_path / "other.sqlite3"
    for _ in range(2):
        ended = cli("store", "move", f"sqlite:///{target}", "--json")
        assert ended.code == 0, ended.err
        counts = {one["table"]: (one["source"], one["target"], one["missing"]) for one in ended.json}
        assert counts["calls"] == (40, 40, 0)
    assert cli("store", "move", f"sqlite:///{home.path / 'store.sqlite3'}").code == 1
    database = sqlite3.connect(target)
    assert database.execute("SELECT COUNT(*) FROM call_bodies").fetchone() == (40,)
    database.close()
