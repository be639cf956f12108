"""`logos-shift stats`: totals, variants and what waits."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any


def test_the_table_per_variant_fits_and_says_what_it_counts(cli: Any, home: Any) -> None:
    """Shares with their intervals, times with their units, nothing for what was not measured."""
    part = {"dataset": "sales", "experiment": "x"}
    home.spool(
        *(
            home.call(id=f"b{n}", assigned="baseline", served="baseline", duration_ms=500.0 + n, **part)
            for n in range(10)
        ),
        *(home.call(id=f"c{n}", assigned="candidate", served="candidate", duration_ms=20.0, **part) for n in range(4)),
        home.call(assigned="candidate", served="baseline", duration_ms=1_500.0, **part),
        *(home.feedback(f"b{n}", label="success") for n in range(8)),
        *(home.feedback(f"b{n}", label="failure") for n in (8, 9)),
        home.call(endpoint="function", name="shop.answer", duration_ms=3.0),
    )
    ended = cli("stats")
    lines = ended.out.splitlines()
    assert max(map(len, lines)) <= 80
    flat = " ".join(ended.out.split())
    for part_ in (
        "calls 16, ",
        "feedback 10",
        "dataset sales, experiment x baseline candidate calls 10 5 errors 0 0 fallbacks 1 (20.0 %) scored 10 0",
        "success, 95 % interval 80.0 % (49.0\u201394.3)",
        "latency, median 505 ms 20 ms",
        "latency, 95 % 510 ms 1.5 s",
        "dataset default, functions calls",
    ):
        assert part_ in flat, flat
    assert "first token" not in flat
    assert "tokens" not in flat


def test_json_has_totals_variants_and_spool(cli: Any, home: Any) -> None:
    """One object on stdout; what the terminal says of refused lines goes to stderr."""
    home.spool(home.call(experiment="x", assigned="baseline"), b"bad\n")
    other = home.path / "spool" / "0123456789abcdef" / "1-gone"
    other.mkdir(parents=True)
    (other / "000001.ndjson").write_bytes(home.call())
    ended = cli("stats", "--json")
    assert "1 line of the spool refused" in ended.err
    found = ended.json
    assert found["totals"]["calls"] == 1
    assert found["totals"]["refused"] == {"not JSON": 1}
    assert found["variants"][0]["variant"] == "baseline"
    assert found["variants"][0]["success"] == {"scored": 0, "mean": None, "low": None, "high": None}
    waits = {one["destination"]: one["records"] for one in found["spool"]}
    assert waits == {"0123456789abcdef": 1, "local": 0}
    assert "1 records" in " ".join(cli("stats").out.split())


def test_filters_hold_and_an_empty_answer_is_said(cli: Any, home: Any) -> None:
    """A dataset that is not there is no fault."""
    home.spool(home.call(dataset="a"), home.call(dataset="b"))
    assert [one["dataset"] for one in cli("stats", "--dataset", "a", "--json").json["variants"]] == ["a"]
    ended = cli("stats", "--dataset", "z")
    assert (ended.code, ended.err) == (0, "logos-shift: no call fits\n")
    assert cli("stats", "--since", "later").code == 2


def test_an_empty_home(cli: Any) -> None:
    """Zero calls are a table too."""
    assert "calls 0" in " ".join(cli("stats").out.split())
    assert cli("stats", "--json").json["variants"] == []


def test_what_clients_lost_is_a_line_and_a_part_of_the_json(cli: Any, home: Any) -> None:
    """From the real client's own file: a spool of one record's size drops the rest."""
    program = (
        "import sys; sys.path.insert(0, 'tests/sdk'); from provider import MESSAGES, Provider; client = Provider().client()\n"
        "for _ in range(6): client.chat.completions.create(model='m', messages=MESSAGES)"
    )
    environ = {**os.environ, "LOGOS_SHIFT_HOME": str(home.path), "LOGOS_SHIFT_SPOOL_BYTES": "1500"}
    root = Path(__file__).parents[2]
    subprocess.run([sys.executable, "-c", program], check=True, cwd=root, env={**environ, "PYTHONPATH": str(root)})
    found = cli("stats", "--json").json
    lost = found["clients"]["ever"]["lost"]["spool_full"]
    assert found["totals"]["calls"] + lost == 6
    assert lost >= 4
    [process] = found["clients"]["processes"]
    assert (process["state"], process["kept"]) == ("ended", found["totals"]["calls"])
    assert f"losses {lost} of 6 records, as the clients say: spool_full {lost}" in " ".join(cli("stats").out.split())
