"""What the import takes beyond `import openai`, and which packages come beyond the three that are declared."""

from __future__ import annotations

import configparser
import json
import re
import statistics
import subprocess
import sys
from importlib import metadata

from benchmarks.collector import child_environment
from benchmarks.measure import ROOT, Row, main, own_home

_TIMED = """
import json, sys, time
a = time.perf_counter()
import openai
b = time.perf_counter()
before = set(sys.modules)
c = time.perf_counter()
{second}
d = time.perf_counter()
print(json.dumps([b - a, d - c, sorted({{name.partition(".")[0] for name in set(sys.modules) - before}})]))
"""
_USED = """
import json, sys
import openai
from benchmarks.provider import MESSAGES, MODEL, client
before = set(sys.modules)
import logos_shift_openai as ours
@ours.logos_shift()
def ask():
    return client(ours.OpenAI).chat.completions.create(model=MODEL, messages=MESSAGES)
ask()
ours.provide_feedback(ask.call()[1], "success")
ours.flush(1.0)
new = {name.partition(".")[0] for name in set(sys.modules) - before}
print(json.dumps([0, 0, sorted(name for name in new if getattr(sys.modules.get(name), "__spec__", None))]))
"""


def rows(quick: bool) -> list[Row]:
    home = own_home()
    turns = 5 if quick else 41
    # As installed: bytecode is there, whether this environment lets it be written beside the source or not.
    environment = child_environment(LOGOS_SHIFT_HOME=str(home), PYTHONPYCACHEPREFIX=str(home / "bytecode"))
    environment.pop("PYTHONDONTWRITEBYTECODE", None)

    def run(code: str, **more: str) -> list:
        out = subprocess.run(
            [sys.executable, "-c", code], cwd=ROOT, env={**environment, **more}, check=True, capture_output=True
        )
        return json.loads(out.stdout.splitlines()[-1])

    ours_code, nothing_code = (_TIMED.format(second=one) for one in ("from logos_shift_openai import OpenAI", "pass"))
    run(ours_code), run(nothing_code)  # these write the bytecode
    plain, again, added = [], [], []
    for _ in range(turns):
        plain.append(run(nothing_code)[0] * 1e3)
        first, second, loaded = run(ours_code)
        again.append(first * 1e3)
        added.append(second * 1e3)
    on_import = _foreign(loaded)
    in_use = _foreign(run(_USED, LOGOS_SHIFT_URL="http://127.0.0.1:9")[2])
    declared = _declared()
    beyond = {_distribution(name) for name in on_import | in_use} - _closure(declared)
    return [
        Row(
            "`from logos_shift_openai import OpenAI` beyond `import openai`",
            statistics.median(added),
            "ms",
            30,
            plain=statistics.median(plain),
            noise=statistics.median(again) - statistics.median(plain),
            note=f"{turns} fresh processes each, interleaved; bytecode there",
        ),
        Row(
            "packages beyond the three and what they bring",
            len(beyond) + len(declared - {"openai", "requests", "wrapt"}),
            "packages",
            0,
            note=f"declared: {', '.join(sorted(declared))}; loaded by the import itself: {_listed(on_import)}; "
            f"by calls, upload, decorator: {_listed(in_use)}; beyond: {_listed(beyond)}",
        ),
    ]


def _foreign(loaded: list[str]) -> set[str]:
    ours = {"logos_shift_openai", "benchmarks", "__mp_main__"}
    return {name for name in loaded if name not in sys.stdlib_module_names and name not in ours}


def _declared() -> set[str]:
    setup = configparser.ConfigParser()
    setup.read(ROOT / "setup.cfg")
    return {_name(line) for line in setup["options"]["install_requires"].split("\n") if line.strip()}


def _closure(names: set[str]) -> set[str]:
    """Follow what installed distributions require, extras left out."""
    known: set[str] = set()
    left = list(names)
    while left:
        name = left.pop()
        if name in known:
            continue
        known.add(name)
        try:
            needs = metadata.requires(name) or []
        except metadata.PackageNotFoundError:
            continue
        left += [_name(need) for need in needs if "extra ==" not in need]
    return known


def _distribution(module: str) -> str:
    """Name the distribution a module is of; compiled parts beside a package have names of their own."""
    found = metadata.packages_distributions().get(module)
    return _name(found[0]) if found else module


def _name(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9._-]+", requirement.strip())
    assert match is not None, requirement
    return re.sub(r"[-_.]+", "-", match[0]).lower()


def _listed(names: set[str]) -> str:
    return ", ".join(sorted(names)) or "none"


if __name__ == "__main__":
    main(rows)
