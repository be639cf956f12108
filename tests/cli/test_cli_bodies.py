"""Commands with bodies in a bucket: what they read and write, what they move there, and what the doctor says of it."""

from __future__ import annotations

import ast
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

sys.path.append(str(Path(__file__).parents[1] / "stores"))
from s3 import s3, s3_url  # noqa: F401 - fixtures

import logos_shift_openai.cli
from logos_shift_openai.cli.session import BODIES_URL

if TYPE_CHECKING:
    from s3 import S3

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")


def finding(cli: Any, name: str) -> tuple[str, str, str]:
    found = {one["check"]: one for one in cli("doctor", "--json").json["findings"]}
    return tuple(found[name][part] for part in ("level", "what", "cure"))


def said(cli: Any, call_id: str) -> Any:
    return cli("calls", "show", call_id, "--json").json["request"]


def test_the_spool_goes_into_the_bucket_and_is_read_from_it(cli: Any, home: Any, s3: S3, monkeypatch: Any) -> None:  # noqa: F811
    """By the commands of a machine without a server, too."""
    monkeypatch.setenv(BODIES_URL, s3.bodies_url)
    home.spool(home.call(id="c1", request={"n": 1}), home.call(id="c2", request={"n": 2}))
    assert (said(cli, "c1"), said(cli, "c2")) == ({"n": 1}, {"n": 2})
    assert len(s3.names("/bodies/")) == 1
    assert "2 elsewhere" in " ".join(cli("store", "stats").out.split())
    monkeypatch.delenv(BODIES_URL)
    shown = cli("calls", "show", "c1")
    assert (shown.code, shown.err.count("\n")) == (1, 1)
    assert f"set {BODIES_URL} to read it" in shown.err


def test_a_store_is_moved_into_the_bucket_and_out_of_it(cli: Any, home: Any, s3: S3, tmp_path: Path, monkeypatch: Any) -> None:  # noqa: F811  # fmt: skip
    """The option says where the bodies of the other store lie; the variable is about all stores."""
    home.spool(*(home.call(id=f"c{n}", request={"n": n}) for n in range(9)))
    assert cli("calls", "list").code == 0
    there = str(tmp_path / "there.sqlite3")
    assert cli("store", "move", there, "--bodies-url", s3.bodies_url).code == 0
    assert len(s3.names()) == 1
    monkeypatch.setenv(BODIES_URL, s3.bodies_url)
    assert cli("store", "vacuum", "--json").json["repacked"]["moved"] == 9
    assert len(s3.names()) == 2
    assert cli("store", "move", str(tmp_path / "back.sqlite3"), "--bodies-url", "database").code == 0
    assert len(s3.names()) == 2
    assert said(cli, "c7") == {"n": 7}


def test_vacuum_says_what_went_to_the_bucket(cli: Any, home: Any, s3: S3, monkeypatch: Any) -> None:  # noqa: F811
    """And nothing of it the second time."""
    home.spool(*(home.call(id=f"c{n}", request={"n": n}) for n in range(9)))
    assert cli("calls", "list").code == 0
    monkeypatch.setenv(BODIES_URL, s3.bodies_url)
    told = "9 bodies were still in the database, and lie in the other store now."
    assert told in cli("store", "vacuum").out
    assert told not in cli("store", "vacuum").out
    assert said(cli, "c3") == {"n": 3}


def test_the_doctor_asks_the_bucket(cli: Any, home: Any, s3: S3, monkeypatch: Any) -> None:  # noqa: F811
    """One line where it does not answer, and the store itself is not called broken for it."""
    home.spool(home.call(id="c1"))
    assert cli("calls", "list").code == 0
    monkeypatch.setenv(BODIES_URL, s3.bodies_url)
    assert finding(cli, "bodies") == ("ok", f"{s3.bodies_url}/ answers", "")
    monkeypatch.setenv(BODIES_URL, "s3://not-there")
    level, what, cure = finding(cli, "bodies")
    assert (level, "NoSuchBucket" in what, "\n" in what, bool(cure)) == ("broken", True, False, True)
    assert finding(cli, "store")[0] == "ok"
    monkeypatch.setenv(BODIES_URL, "minio:records")
    assert "is s3://bucket/prefix, not 'minio:records'" in finding(cli, "bodies")[1]
    assert finding(cli, "store")[0] == "ok"


def test_every_command_opens_stores_by_its_place() -> None:
    """So that none forgets where bodies lie."""
    folder = Path(logos_shift_openai.cli.__file__).parent
    for path in folder.rglob("*.py"):
        names = {
            alias.name
            for node in ast.walk(ast.parse(path.read_text(encoding="utf-8")))
            if isinstance(node, ast.ImportFrom)
            for alias in node.names
        }
        assert path.name == "session.py" or "open_store" not in names, path
