"""`logos-shift ui`: this machine's own calls in a browser that was let in once."""

from __future__ import annotations

import json
import os
import re
import shlex
import signal
import stat
import subprocess
import sys
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from served import ROOT, wait_until

from logos_shift_openai.cli.ui import _show
from logos_shift_openai.cli.ui_file import LeadingFile

TAKES = 30
CLI = [sys.executable, "-m", "logos_shift_openai.cli"]
ENVIRON = {**os.environ, "PYTHONPATH": str(ROOT)}


@pytest.fixture
def own(tmp_path, lines):
    """A home with a call in its spool."""
    folder = tmp_path / "own" / "spool" / "local" / "1-gone"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "000001.ndjson").write_bytes(lines.call(dataset="mine"))
    return tmp_path / "own"


@pytest.fixture
def start(own):
    """Start it, and wait until it has said all; its processes end with the test."""
    running = []

    def begin(*options, **environ):
        process = subprocess.Popen(
            [*CLI, "--home", str(own), "ui", *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            cwd=ROOT,
            env={**ENVIRON, **environ},
        )
        running.append(process)
        said = ""
        while "Ctrl-C" not in said:
            line = process.stdout.readline()
            assert line, process.communicate()[1]
            said += line
        return process, said

    yield begin
    for process in running:
        if process.poll() is None:
            process.send_signal(signal.SIGINT)
        process.communicate(timeout=90)


@pytest.fixture
def ui(start):
    """The process, and the address it printed."""
    process, said = start("--no-browser")
    return process, re.search(r"http://\S+", said)[0]


def test_the_calls_are_there_and_the_address_works_once(ui, chromium):
    """The token leaves the address bar, and nobody else comes in with it; Ctrl-C ends the process well."""
    process, address = ui
    url = address.partition("/login")[0]
    context = chromium.new_context()
    page = context.new_page()
    page.goto(address)
    page.wait_for_url(f"{url}/")
    page.get_by_text("mine").first.wait_for()
    assert page.evaluate("location.hash") == ""
    other = chromium.new_context()
    again = other.new_page()
    again.goto(address)
    again.get_by_text("this link was used already").wait_for()
    answer = page.evaluate(
        "fetch('/v1/config', {method: 'PUT', headers: {'X-Logos-Shift': '1', 'Content-Type': 'application/json'},"
        " body: '{\"document\": {}}'}).then(a => a.json())"
    )
    assert answer["error"]["code"] == "embedded_config"
    context.close()
    other.close()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert process.returncode in {0, 130}
    assert address.partition("#")[2] not in errors


def test_the_token_stands_in_no_command_line_and_its_file_goes_with_its_use(start, own, chromium, tmp_path):
    """The browser is told of a file that its owner alone may read, and that leads on."""
    told = tmp_path / "told"
    browser = tmp_path / "browser"
    browser.write_text(f"#!/bin/sh\nprintf '%s\\n' \"$@\" > {shlex.quote(str(told))}\n", encoding="utf-8")
    browser.chmod(0o700)
    process, said = start(BROWSER=f"{browser} %s")
    wait_until(lambda: told.exists() and told.read_text())
    (argument,) = told.read_text().split()
    file = Path(unquote(urlsplit(argument).path))
    assert (argument[:8], file.parent) == ("file:///", own.resolve())
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    token = re.search(r"#([0-9a-f]{64})", file.read_text())[1]
    assert token not in argument + said
    context = chromium.new_context()
    page = context.new_page()
    page.goto(argument)
    page.get_by_text("mine").first.wait_for()
    assert page.evaluate("location.pathname + location.hash") == "/"
    assert not file.exists()
    context.close()
    process.send_signal(signal.SIGINT)
    _, errors = process.communicate(timeout=90)
    assert token not in errors


def test_a_file_that_nobody_used_is_gone_at_the_end(start, own):
    """Whatever the browser did with it."""
    process, _ = start(BROWSER="true %s")
    assert len([*own.glob("open-*.html")]) == 1
    process.send_signal(signal.SIGINT)
    process.communicate(timeout=90)
    assert not [*own.glob("open-*.html")]


def test_a_rollout_of_this_machine_is_steered_by_its_forms(start, own, chromium, tmp_path):
    """Paused, changed in its pace and rolled back; the programs' own config says so at once."""
    policy = tmp_path / "policy.json"
    policy.write_text('{"ladder": [500, 10000]}', encoding="utf-8")
    what = ["rollout", "start", "mine", "--model", "big", "--candidate", "small", "--policy", str(policy)]
    subprocess.run([*CLI, "--home", str(own), *what], check=True, cwd=ROOT, env=ENVIRON, capture_output=True)
    _, said = start("--no-browser")
    address = re.search(r"http://\S+", said)[0]
    url = address.partition("/login")[0]
    context = chromium.new_context()
    context.set_default_timeout(20_000)
    page = context.new_page()
    page.goto(address)
    page.get_by_role("link", name="mine").first.wait_for()
    page.goto(f"{url}/experiments/mine")
    steer(page, "Pause", "paused")
    page.goto(f"{url}/settings")
    page.get_by_text("Change the policy of mine").click()
    field = page.get_by_label("The policy of mine")
    field.fill(json.dumps({**json.loads(field.input_value()), "step_seconds": 7}))
    page.get_by_role("button", name="Change it").click()
    page.locator(".toast", has_text="The policy is changed").wait_for()
    page.goto(f"{url}/experiments/mine")
    steer(page, "Resume", "ramping")
    assert share(own) == 500
    steer(page, "Roll back", "rolled back")
    assert share(own) == 0
    context.close()
    shown = subprocess.run(
        [*CLI, "--home", str(own), "rollout", "status", "mine", "--json"],
        check=True, cwd=ROOT, env=ENVIRON, capture_output=True, text=True,
    )  # fmt: skip
    assert json.loads(shown.stdout)["policy"]["step_seconds"] == 7


def steer(page, button, phase):
    page.get_by_role("button", name=button).click()
    page.get_by_role("button", name="Yes").click()
    page.locator(".heading .badge", has_text=phase).wait_for()


def share(home):
    (one,) = json.loads((home / "config.json").read_bytes())["experiments"]
    return one["share"]


def test_the_token_is_printed_only_where_no_browser_opens(capsys, tmp_path):
    """It goes to the browser alone, by a file; one that could not be opened is gone at once."""
    opened, leading = [], LeadingFile(tmp_path)
    _show("http://127.0.0.1:1", "secret", leading, open_=lambda url: not opened.append(url))
    assert "secret" not in capsys.readouterr().out
    assert "secret" not in opened[0]
    leading.remove()
    _show("http://127.0.0.1:1", "secret", leading, open_=lambda _url: False)
    assert "/login#secret" in capsys.readouterr().out
    _show("http://127.0.0.1:1", "secret", LeadingFile(tmp_path / "none"), open_=lambda _url: True)
    assert "/login#secret" in capsys.readouterr().out
    assert not [*tmp_path.iterdir()]
