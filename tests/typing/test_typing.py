"""The promise of the swap to type checkers, kept by mypy --strict and pyright strict over user programs.

Each file in ``programs/`` is a user's program that is checked and never run. A line ending in ``# error`` is wrong and
must be called wrong, every other line must pass; a line ending in ``# id`` asks for the id. Each program is checked
twice, with the package installed as users have it: as written, and with ``openai`` in place of ``logos_shift_openai``
and no question for an id; both must give the same.
"""

from __future__ import annotations

import importlib.metadata
import importlib.util
import json
import re
import subprocess
import sys
import sysconfig
import venv
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from types import ModuleType

TAKES = 30
ROOT = Path(__file__).resolve().parents[2]
PROGRAMS = sorted((Path(__file__).parent / "programs").glob("*.py"))
COMPARED = [program for program in PROGRAMS if program.name != "ours.py"]
SDK_VERSION = importlib.metadata.version("openai")
PYTHON = "3.10"  # the oldest we support; what passes there passes later


@dataclass(frozen=True)
class Fault:
    """One thing a checker found wrong; `file` is relative to the workplace."""

    file: str
    line: int
    rule: str
    message: str


def generator() -> ModuleType:
    """Load tools/generate_typing.py, which is no part of the package."""
    spec = importlib.util.spec_from_file_location("generate_typing", ROOT / "tools" / "generate_typing.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # dataclasses look their own module up
    spec.loader.exec_module(module)
    return module


def without_ids(text: str) -> str:
    """Turn a program into the one its author had before the swap, line for line."""
    text = text.replace("from logos_shift_openai import", "from openai import")
    return re.sub(r"assert_type\((.*)\.logos_shift_id, str\)  # id", r"print(\1)", text)


def marked(program: Path) -> set[int]:
    """Give the numbers of the lines that are wrong on purpose."""
    lines = program.read_text(encoding="utf-8").splitlines()
    return {number for number, line in enumerate(lines, 1) if line.endswith("# error")}


@pytest.fixture(scope="module")
def workplace(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Lay the programs out, with an environment that has the package and the SDK as installed ones."""
    if _numbers(SDK_VERSION) < (2,):
        pytest.skip(f"openai {SDK_VERSION} has no `omit` and no `parse` outside `beta`, which the programs use")
    place = tmp_path_factory.mktemp("typing")
    for name, programs in (("swapped", PROGRAMS), ("plain", COMPARED)):
        (place / name).mkdir()
        for program in programs:
            text = program.read_text(encoding="utf-8")
            (place / name / program.name).write_text(text if name == "swapped" else without_ids(text))
    venv.create(place / "env", with_pip=False)
    site = next((place / "env").glob("[lL]ib/**/site-packages"))
    (site / "paths.pth").write_text(f"{ROOT}\n{sysconfig.get_path('purelib')}\n", encoding="utf-8")
    settings = {"typeCheckingMode": "strict", "pythonVersion": PYTHON, "include": ["swapped", "plain"]}
    (place / "pyrightconfig.json").write_text(json.dumps(settings))
    return place


def interpreter(place: Path) -> str:
    """Give the environment's python."""
    return str(
        next((place / "env").glob("bin/python")) if sys.platform != "win32" else place / "env/Scripts/python.exe"
    )


def mypy(place: Path) -> list[Fault]:
    """Run mypy --strict over everything."""
    found = []
    for folder in ("swapped", "plain"):
        command = [sys.executable, "-m", "mypy", "--strict", "--output", "json", "--python-version", PYTHON]
        command += [
            "--config-file",
            "",
            "--cache-dir",
            str(place / "cache"),
            "--python-executable",
            interpreter(place),
        ]
        ended = subprocess.run(
            [*command, "."], cwd=place / folder, capture_output=True, text=True, timeout=120, check=False
        )
        assert ended.returncode in (0, 1), ended.stdout + ended.stderr
        for line in ended.stdout.splitlines():
            one = json.loads(line)
            if one["severity"] == "error":
                found.append(Fault(f"{folder}/{one['file']}", one["line"], one["code"], one["message"]))
    return found


def pyright(place: Path) -> list[Fault]:
    """Run pyright in strict mode over everything."""
    command = [sys.executable, "-m", "pyright", "--outputjson", "--pythonpath", interpreter(place)]
    ended = subprocess.run(command, cwd=place, capture_output=True, text=True, timeout=240, check=False)
    assert ended.returncode in (0, 1), ended.stdout + ended.stderr
    found = []
    for one in json.loads(ended.stdout[ended.stdout.index("{") :])["generalDiagnostics"]:
        file = Path(one["file"]).resolve().relative_to(place.resolve()).as_posix()
        line = one["range"]["start"]["line"] + 1
        found.append(Fault(file, line, one.get("rule", one["severity"]), one["message"]))
    return found


CHECKERS = {"mypy": mypy, "pyright": pyright}


@pytest.fixture(scope="module")
def said(workplace: Path) -> dict[str, list[Fault]]:
    """Run each checker once, both at a time."""
    with ThreadPoolExecutor(2) as pool:
        return dict(zip(CHECKERS, pool.map(lambda checker: checker(workplace), CHECKERS.values()), strict=True))


def faults(found: list[Fault], file: str) -> dict[tuple[int, str], str]:
    """Give (line, rule) and the message of the faults of one file."""
    return {(fault.line, fault.rule): fault.message for fault in found if fault.file == file}


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("program", PROGRAMS, ids=lambda program: program.stem)
def test_user_programs_check(program: Path, checker: str, said: dict[str, list[Fault]]) -> None:
    """Right lines pass, wrong lines are called wrong, and no id is less than a `str`."""
    found = faults(said[checker], f"swapped/{program.name}")
    refused = {line: message for (line, _), message in found.items() if line not in marked(program)}
    assert not refused
    assert marked(program) == {line for line, _ in found}


@pytest.mark.parametrize("checker", CHECKERS)
@pytest.mark.parametrize("program", COMPARED, ids=lambda program: program.stem)
def test_the_swap_changes_nothing(program: Path, checker: str, said: dict[str, list[Fault]]) -> None:
    """The same program gives the same faults on the same lines with `openai` itself."""
    swapped = faults(said[checker], f"swapped/{program.name}")
    assert set(swapped) == set(faults(said[checker], f"plain/{program.name}"))


def test_programs_ask_for_ids() -> None:
    """The id lines are there to be dropped; without them the comparison would compare nothing."""
    for program in COMPARED:
        text = program.read_text(encoding="utf-8")
        assert text.count("# id\n") >= 2
        assert "logos_shift" not in without_ids(text)


def test_generated_file_follows_the_sdk() -> None:
    """The generated file is what the generator makes of the installed SDK; only a note of the version may differ."""
    tool = generator()
    written = tool.OUTPUT.read_text(encoding="utf-8")
    made_from = re.match(r"# Generated by tools/generate_typing.py from openai ([0-9.]+); do not edit.\n", written)
    assert made_from is not None
    if _numbers(SDK_VERSION) < _numbers(made_from[1]):
        pytest.skip(f"openai {SDK_VERSION} is older than {made_from[1]}, which the file was made from")
    made = tool.generate()
    if made_from[1] != SDK_VERSION:
        written, made = written.partition("\n")[2], made.partition("\n")[2]
    assert made == written, f"openai {SDK_VERSION} moved away from {made_from[1]}: run tools/generate_typing.py"


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version)[:3])


def test_generator_refuses_what_it_does_not_know() -> None:
    """A signature the generator was not written for is an error and not a guess."""
    tool = generator()
    writer = tool.Writer()
    with pytest.raises(tool.SourceChangedError, match="has no method"):
        writer.methods("openai.resources.embeddings", "Embeddings", "nothing", None)
    with pytest.raises(tool.SourceChangedError, match="has 3 signatures"):
        writer.methods("openai.resources.completions", "Completions", "create", ["int", "str"])
    with pytest.raises(tool.SourceChangedError, match="more than self"):
        writer.methods("openai.resources.models", "Models", "retrieve", None)
    with pytest.raises(tool.SourceChangedError, match="Stream is"):
        writer.names.add("Stream", "elsewhere", "Stream")
