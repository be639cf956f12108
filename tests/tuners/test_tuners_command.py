"""`command`: a real script in a process of its own, that outlives us, ends with its group and is started once."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path

import pytest
from tuning_parts import KEY, begin, until

from logos_shift_openai.server.tuners.command import CommandTuner, run_hook
from logos_shift_openai.server.tuners.edition import examples
from logos_shift_openai.server.tuners.jobs import ask_to_cancel
from logos_shift_openai.server.tuners.machine import advance
from logos_shift_openai.server.tuners.protocol import AwayError, Settings, Task

BASE = Settings("tiny", provider="gpu", epochs=3)
TRAINS = """
import json, os
rows = sum(1 for _ in open(os.environ["LOGOS_SHIFT_EDITION_TRAIN"]))
held = sum(1 for _ in open(os.environ["LOGOS_SHIFT_EDITION_HELDOUT"]))
assert json.load(open(os.environ["LOGOS_SHIFT_EDITION_MANIFEST"]))["rows"] == rows
os.makedirs(os.environ["LOGOS_SHIFT_EDITION_OUTPUT"])
for step in (1, 2):
    print(json.dumps({"step": step, "total_steps": 2, "train_loss": 1 / step}))
name = f"{os.environ['LOGOS_SHIFT_TUNING_MODEL']}-{os.environ['LOGOS_SHIFT_TUNING_EPOCHS']}-{rows}-{held}"
print(json.dumps({"model": name, "provider": os.environ["LOGOS_SHIFT_TUNING_PROVIDER"]}))
"""
SLEEPS = "import subprocess, sys, time; subprocess.Popen([sys.executable, '-c', 'import time; time.sleep(600)']); time.sleep(600)"
COUNTS = "import os; open(os.environ['COUNT'], 'a').write('x'); print('{\"model\": \"m\"}')"


@pytest.fixture
def tuner(home):
    made = []

    def make(code, **options):
        made.append(CommandTuner([sys.executable, "-c", code], home, grace=2.0, **options))
        return made[-1]

    yield make
    for one in made:
        for folder in (home / "tuning").glob("*"):
            one.cancel({"folder": folder.name})


def group_of(home, key):
    """Name the processes of a job's group, by asking the system."""
    pid = json.loads((home / "tuning" / key / "process.json").read_text())["pid"]
    listed = subprocess.run(["ps", "-eo", "pgid=,stat="], capture_output=True, text=True, check=True).stdout
    return [line for line in listed.splitlines() if line.split()[0] == str(pid) and "Z" not in line.split()[1]]


def wait_for(found, seconds=90):
    end = time.monotonic() + seconds
    while not found():
        assert time.monotonic() < end
        time.sleep(0.02)


def test_a_script_makes_a_candidate(tuner, small, shop_with):
    """From the paths in its environment to the last line of its output, with a curve on the way."""
    shop = shop_with(tuner(TRAINS))
    job = until(shop, begin(shop, BASE, "command").id, "succeeded", "failed")
    assert job.candidate == {"model": "tiny-3-60-10", "provider": "gpu"}, job.said
    assert [one["train_loss"] for one in job.points] == [1.0, 0.5]


@pytest.mark.parametrize(
    ("code", "said"),
    [
        ("import sys; sys.exit('no GPU here')", "the script ended with code 1: no GPU here"),
        ("print('done')", "the last line of its output is no"),
        ("print('{\"model\": 3}')", "the last line of its output is no"),
        ("import os, signal; os.kill(os.getpid(), signal.SIGKILL)", "the script ended with code -9"),
        ("import os; raise SystemExit('bad ' + os.environ['MY_API_KEY'])", "code 1: bad [key]"),
    ],
)
def test_a_script_that_fails_says_why(tuner, small, shop_with, monkeypatch, code, said):
    """With the end of what it complained of, without our keys."""
    monkeypatch.setenv("MY_API_KEY", "abcdef-123456")
    shop = shop_with(tuner(code))
    job = until(shop, begin(shop, BASE, "command").id, "failed")
    assert said in job.said


def test_no_such_program(small, home, shop_with):
    """It is said, not raised."""
    shop = shop_with(CommandTuner(["/no/such/program"], home))
    job = until(shop, begin(shop, BASE, "command").id, "failed")
    assert "code 127: /no/such/program" in job.said
    assert "LOGOS_SHIFT_TUNER_COMMAND" in CommandTuner([], home).check(small, BASE)[0]


def test_a_cancel_ends_the_whole_group(tuner, small, home, shop_with, clock):
    """What the script started, too."""
    shop = shop_with(tuner(SLEEPS))
    job = advance(shop, begin(shop, BASE, "command").id)
    wait_for(lambda: (home / "tuning" / job.key / "process.json").exists() and len(group_of(home, job.key)) == 3)
    assert advance(shop, job.id).state == "running"
    with shop.store.writing() as connection:
        ask_to_cancel(connection, job.id, clock())
    assert advance(shop, job.id).state == "cancelled"
    wait_for(lambda: not group_of(home, job.key))


STARTER = """
import os, sys
from pathlib import Path
from logos_shift_openai.server.tuners.command import CommandTuner
from logos_shift_openai.server.tuners.edition import read_edition
from logos_shift_openai.server.tuners.protocol import Settings, Task
home, code, key = sys.argv[1:]
tuner = CommandTuner([sys.executable, "-c", code], Path(home))
tuner.start(Task(key, read_edition(Path(home), "small"), Settings("m")))
os._exit(9)  # killed at once
"""


def test_it_outlives_the_process_that_started_it(tuner, small, home, tmp_path):
    """That one is killed in the next instant; ours finds the script at work, then its result."""
    go = tmp_path / "go"
    waits = f'import time, pathlib\nwhile not pathlib.Path({str(go)!r}).exists(): time.sleep(0.02)\nprint(\'{{"model": "m9"}}\')'
    ended = subprocess.run([sys.executable, "-c", STARTER, str(home), waits, KEY], check=False, timeout=90)
    assert ended.returncode == 9
    ours = tuner(waits)
    task = Task(KEY, small, Settings("m"))
    wait_for(lambda: ours.find(task) is not None)
    handle = ours.find(task)
    assert ours.status(handle).phase == "running"
    go.touch()
    wait_for(lambda: ours.status(handle).phase == "succeeded")
    assert ours.serve(handle).model == "m9"


def test_started_twice_it_runs_once(tuner, small, home, tmp_path, monkeypatch):
    """Whoever is second finds the folder taken."""
    monkeypatch.setenv("COUNT", str(tmp_path / "count"))
    ours = tuner(COUNTS)
    task = Task(KEY, small, Settings("m"))
    handles = [ours.start(task) for _ in range(4)]
    wait_for(lambda: ours.status(handles[0]).phase == "succeeded")
    assert (tmp_path / "count").read_text() == "x"


def test_one_that_was_killed_with_the_machine_has_failed(tuner, small, home):
    """A process of the same number that began at another time is somebody else."""
    folder = home / "tuning" / KEY
    folder.mkdir(parents=True)
    (folder / "claim").touch()
    (folder / "process.json").write_text(json.dumps({"pid": os.getpid(), "begun": "1"}))
    ours = tuner(TRAINS)
    found = ours.status(ours.find(Task(KEY, small, Settings("m"))))
    assert (found.phase, "ended from outside" in found.said) == ("failed", True)


def test_the_deploy_step_names_what_answers(tmp_path):
    """By its last line; without one the model keeps its name; a failure is tried again."""
    code = "import json, os; print('hello'); print(json.dumps({'model': os.environ['LOGOS_SHIFT_TUNED_MODEL'] + '-deployed'}))"
    assert run_hook([sys.executable, "-c", code], "ft-1") == "ft-1-deployed"
    assert run_hook([sys.executable, "-c", "print('ok')"], "ft-1") == "ft-1"
    with pytest.raises(AwayError, match="code 1: no quota"):
        run_hook([sys.executable, "-c", "raise SystemExit('no quota')"], "ft-1")
    with pytest.raises(AwayError, match=r"within 0\.05 seconds"):
        run_hook([sys.executable, "-c", "import time; time.sleep(600)"], "ft-1", seconds=0.05)
    with pytest.raises(AwayError, match="could not be run"):
        run_hook(["/no/such/program"], "ft-1")


def test_the_script_of_the_recipe_is_python():
    """It cannot be run here: it wants a GPU, TRL, PEFT and vLLM."""
    folder = Path(__file__).parents[2] / "examples" / "lora_recipe"
    code = (folder / "train_lora.py").read_text(encoding="utf-8")
    compile(code, "train_lora.py", "exec")
    for name in ("LOGOS_SHIFT_EDITION_TRAIN", "LOGOS_SHIFT_EDITION_OUTPUT", "LOGOS_SHIFT_TUNING_KEY"):
        assert name in code
    assert list(examples.__annotations__) == ["path", "return"]
