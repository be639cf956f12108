"""The embedded config: strict, whole, and never written over by mistake."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.core.config_reading import parse_config
from logos_shift_openai.core.strict import ConfigError
from logos_shift_openai.server.experiments import (
    ExperimentError,
    Plan,
    config_path,
    read_config,
    set_share,
    set_state,
    start,
)

if TYPE_CHECKING:
    from pathlib import Path

PLAN = Plan(key="x", models=("gpt-6.1-*",), candidate="tiny", dataset="sales", share=500)


def document(home: Path) -> Any:
    return json.loads(config_path(home).read_bytes())


def test_a_started_experiment_is_one_that_clients_read(tmp_path: Path) -> None:
    """All parts of the plan stand in the file, with a version and a random salt."""
    plan = replace(
        PLAN,
        provider="lab",
        unit="call",
        timeout=2.5,
        drop=("seed",),
        rename={"a": "b"},
        set={"temperature": 0},
    )
    started = start(tmp_path, plan)
    config = parse_config(config_path(tmp_path).read_bytes())
    assert config.version == 1
    assert config.experiments == (started,)
    assert len(started.salt) == 32
    assert (started.share, started.unit, started.state, started.fallback.timeout_seconds) == (
        500,
        "call",
        "running",
        2.5,
    )
    assert (started.candidate.provider, started.candidate.params.set) == ("lab", {"temperature": 0})
    assert start(tmp_path, replace(PLAN, key="y", dataset="other")).salt != started.salt


def test_every_change_raises_the_version_and_keeps_the_rest(tmp_path: Path) -> None:
    """What somebody wrote into the document by hand stays."""
    tmp_path.joinpath("config.json").write_text('{"version": 41, "sampling": {"rate": 0.5}, "poll_seconds": 2}')
    start(tmp_path, PLAN)
    assert set_share(tmp_path, "x", 2500).share == 2500
    assert set_state(tmp_path, "x", "paused").state == "paused"
    assert set_state(tmp_path, "x", "running").state == "running"
    assert set_state(tmp_path, "x", "stopped").state == "stopped"
    after = document(tmp_path)
    assert (after["version"], after["sampling"], after["poll_seconds"]) == (46, {"rate": 0.5}, 2)
    assert after["experiments"][0]["share"] == 2500


def test_an_experiment_started_again_keeps_its_salt(tmp_path: Path) -> None:
    """So its units keep their buckets; the rest is as the new plan says."""
    salt = start(tmp_path, PLAN).salt
    with pytest.raises(ExperimentError, match="running already"):
        start(tmp_path, PLAN)
    set_state(tmp_path, "x", "stopped")
    again = start(tmp_path, replace(PLAN, share=100, candidate="tiny-2"))
    assert (again.salt, again.share, again.candidate.model, again.state) == (salt, 100, "tiny-2", "running")
    assert len(read_config(tmp_path).experiments) == 1


def test_an_experiment_about_the_calls_of_another_is_refused(tmp_path: Path) -> None:
    """Only the first would ever see them; a stopped one is in nobody's way."""
    start(tmp_path, PLAN)
    for clash in (
        replace(PLAN, key="y", models=("gpt-6.1-sol",)),
        replace(PLAN, key="y", dataset="*", models=("*",)),
    ):
        with pytest.raises(ExperimentError, match="x is running and about the same calls"):
            start(tmp_path, clash)
    start(tmp_path, replace(PLAN, key="other-model", models=("claude-*",)))
    set_state(tmp_path, "x", "stopped")
    start(tmp_path, replace(PLAN, key="y"))
    taken = next(one for one in read_config(tmp_path).experiments if one.concerns("sales", "gpt-6.1-sol"))
    assert taken.key == "y"


@pytest.mark.parametrize(
    ("change", "fault"),
    [
        ({"share": 10_001}, r"experiments\[0\]\.share: 10001"),
        ({"key": "a b"}, r"experiments\[0\]\.key"),
        ({"candidate": ""}, r"experiments\[0\]\.candidate\.model"),
        ({"models": ("tiny",)}, r"experiments\[0\]\.candidate\.model: .* is the baseline too"),
        ({"set": {"model": "z"}}, r"params\.set\.model"),
        ({"timeout": -1.0}, r"timeout_seconds"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_by_its_path(tmp_path: Path, change: Any, fault: str) -> None:
    """And the file stays as it was, byte by byte."""
    start(tmp_path, replace(PLAN, key="kept", dataset="kept"))
    before = config_path(tmp_path).read_bytes()
    with pytest.raises(ConfigError, match=fault):
        start(tmp_path, replace(PLAN, **change))
    assert config_path(tmp_path).read_bytes() == before
    assert [path.name for path in tmp_path.iterdir() if path.suffix == ".tmp"] == []


def test_a_broken_file_is_never_written_over(tmp_path: Path) -> None:
    """The fault is said with file and path, and a person's work stays."""
    broken = '{"version": 1, "experiments": [{"key": "x", "share": 5'
    config_path(tmp_path).write_text(broken)
    for change in (lambda: start(tmp_path, PLAN), lambda: set_share(tmp_path, "x", 1)):
        with pytest.raises(ConfigError, match=r"config\.json: the document is not JSON"):
            change()
    assert config_path(tmp_path).read_text() == broken


def test_what_is_not_there_or_stopped_is_said(tmp_path: Path) -> None:
    """An unknown key names the known ones; a stopped experiment does not come back by the way."""
    with pytest.raises(ExperimentError, match=r"no experiment z \(there is: none\)"):
        set_share(tmp_path, "z", 1)
    start(tmp_path, PLAN)
    with pytest.raises(ExperimentError, match=r"there is: x"):
        set_state(tmp_path, "z", "paused")
    set_state(tmp_path, "x", "stopped")
    with pytest.raises(ExperimentError, match="stopped"):
        set_state(tmp_path, "x", "running")
    with pytest.raises(ExperimentError, match="stopped"):
        set_share(tmp_path, "x", 1)
    assert document(tmp_path)["version"] == 2


def test_a_home_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    """With the file's name, and as one of our errors."""
    (tmp_path / "home").write_text("a file")
    with pytest.raises(ExperimentError, match=r"config\.json cannot be written"):
        start(tmp_path / "home", PLAN)


_WRITER = """
import pathlib, sys
from logos_shift_openai.server.experiments import set_share
for share in range(25):
    set_share(pathlib.Path(sys.argv[1]), sys.argv[2], share)
"""


def test_writers_at_once_lose_no_change_and_readers_see_whole_files(tmp_path: Path) -> None:
    """Two processes set the shares of two experiments; every version is counted, every read parses."""
    start(tmp_path, PLAN)
    start(tmp_path, replace(PLAN, key="y", dataset="other"))
    running = [subprocess.Popen([sys.executable, "-c", _WRITER, str(tmp_path), key]) for key in ("x", "y")]
    while any(process.poll() is None for process in running):
        parse_config(config_path(tmp_path).read_bytes())
    assert [process.returncode for process in running] == [0, 0]
    config = read_config(tmp_path)
    assert config.version == 2 + 2 * 25
    assert {one.key: one.share for one in config.experiments} == {"x": 24, "y": 24}
