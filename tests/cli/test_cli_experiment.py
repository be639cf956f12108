"""`logos-shift experiment`: the embedded config from the command line."""

from __future__ import annotations

import json
from typing import Any

import pytest
import typer

from logos_shift_openai.cli.experiment import read_share
from logos_shift_openai.core.config_reading import parse_config

START = ["experiment", "start", "x", "--model", "gpt-*", "--candidate", "tiny"]


def config(home: Any) -> Any:
    return parse_config((home.path / "config.json").read_bytes())


def test_an_experiment_goes_its_way(cli: Any, home: Any) -> None:
    """Start, share, pause, resume, stop: each is in the file at once, and what is shown is what is there."""
    options = ["--model", "o*", "--provider", "lab", "--dataset", "sales", "--share", "5", "--unit", "call"]
    params = [
        "--timeout",
        "2.5",
        "--set",
        "temperature=0",
        "--set",
        "stop=END",
        "--drop",
        "seed",
        "--rename",
        "a=b",
    ]
    ended = cli(*START, *options, *params)
    assert ended.code == 0
    assert "5 % of calls to the candidate" in ended.out
    (one,) = config(home).experiments
    assert (one.match, one.dataset, one.share, one.unit) == (("gpt-*", "o*"), "sales", 500, "call")
    assert (one.candidate.model, one.candidate.provider) == ("tiny", "lab")
    assert one.candidate.params.set == {"temperature": 0, "stop": "END"}
    assert (one.candidate.params.drop, one.candidate.params.rename) == (("seed",), {"a": "b"})
    assert one.fallback.timeout_seconds == 2.5
    assert cli("experiment", "share", "x", "25%", "--json").json["share"] == 2500
    assert cli("experiment", "pause", "x", "--json").json["state"] == "paused"
    assert cli("experiment", "resume", "x", "--json").json["state"] == "running"
    assert cli("experiment", "stop", "x", "--json").json["state"] == "stopped"
    assert config(home).version == 5
    (listed,) = cli("experiment", "list", "--json").json
    assert listed == json.loads((home.path / "config.json").read_text())["experiments"][0] | {
        "candidate": listed["candidate"]
    }
    assert parse_config(json.dumps({"version": 1, "experiments": [listed]})).experiments == config(home).experiments


def test_show_has_the_figures_of_its_variants(cli: Any, home: Any) -> None:
    """What it is, and how its variants did."""
    cli(*START, "--share", "50")
    home.spool(
        *(home.call(experiment="x", assigned="baseline", served="baseline", duration_ms=500.0) for _ in range(3)),
        home.call(experiment="x", assigned="candidate", served="candidate", duration_ms=20.0, id="c"),
        home.feedback("c", label="success"),
    )
    flat = " ".join(cli("experiment", "show", "x").out.split())
    assert "share 50 % of users to the candidate" in flat
    assert "baseline candidate calls 3 1" in flat
    assert "latency, median 500 ms 20 ms" in flat
    variants = cli("experiment", "show", "x", "--json").json["variants"]
    assert [one["calls"] for one in variants] == [3, 1]


def test_nothing_yet(cli: Any) -> None:
    """No experiment is no fault for the list, and one for everything that names one."""
    assert cli("experiment", "list").out.startswith("No experiment in")
    assert cli("experiment", "list", "--json").json == []
    for command in (["show", "x"], ["share", "x", "5"], ["pause", "x"], ["stop", "x"]):
        ended = cli("experiment", *command)
        assert (ended.code, ended.out) == (1, "")
        assert ended.err.startswith("logos-shift: there is no experiment x")
        assert len(ended.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("text", "points"),
    [
        *[
            ("5", 500),
            ("5%", 500),
            ("0.5%", 50),
            ("0", 0),
            ("100", 10_000),
            ("50bp", 50),
            ("10000bp", 10_000),
        ],
        *[("0.05%", 5), ("12.34", 1234), ("33.33 %", 3333), ("0%", 0), ("1", 100)],
    ],
)
def test_a_share_is_read_in_percent(text: str, points: int) -> None:
    """Percent is the unit for people; bp is for those who want the finest step."""
    assert read_share(text) == points


@pytest.mark.parametrize("text", ["0.05", ".5", "101", "10001bp", "-1", "0.001%", "half", "", "5%%", "1.5bp", "nan"])
def test_what_is_no_share_is_refused(text: str) -> None:
    """A bare fraction too: it may be meant as percent or as a part of one."""
    with pytest.raises(typer.BadParameter):
        read_share(text)


@pytest.mark.parametrize(
    ("arguments", "code", "said"),
    [
        ([*START, "--share", "0.05"], 2, "write 0.05% or 5%"),
        ([*START, "--unit", "team"], 2, "--unit"),
        ([*START, "--set", "temperature"], 2, "NAME=VALUE"),
        ([*START, "--timeout", "0"], 1, "timeout_seconds"),
        ([*START, "--provider", "a b"], 1, "experiments[0].candidate.provider"),
        ([*START[:3], "--model", "tiny", "--candidate", "tiny"], 1, "the baseline too"),
        ([*START[:3], "--candidate", "tiny"], 2, "--model"),
        (["experiment", "start"], 2, "KEY"),
        (["experiment", "frobnicate"], 2, "frobnicate"),
    ],
)
def test_what_cannot_be_is_said_and_not_written(
    cli: Any, home: Any, arguments: list[str], code: int, said: str
) -> None:
    """Usage faults end in 2, everything else in 1; never with a traceback."""
    ended = cli(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert said in ended.err
    assert "Traceback" not in ended.err
    assert not (home.path / "config.json").exists()


def test_a_broken_config_is_said_with_its_path(cli: Any, home: Any) -> None:
    """And left as it is."""
    (home.path / "config.json").write_text('{"version": 1, "experiments": [{"key": "x", "share": 12000}]}')
    for command in (START, ["experiment", "list"], ["experiment", "share", "x", "5"]):
        ended = cli(*command)
        assert ended.code == 1
        assert ended.err.startswith(f"logos-shift: {home.path / 'config.json'}: experiments[0].")
    assert "12000" in (home.path / "config.json").read_text()


def test_an_environment_that_reads_another_config_is_warned(
    cli: Any, home: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The change is made, and it is said that clients here follow something else."""
    monkeypatch.setenv("LOGOS_SHIFT_CONFIG", "/etc/logos.json")
    ended = cli(*START, "--json")
    assert ended.json["key"] == "x"
    assert "LOGOS_SHIFT_CONFIG is set" in ended.err
