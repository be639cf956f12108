"""`logos-shift ui`: this machine's own calls in a browser that was let in once."""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys

import pytest
from served import ROOT

from logos_shift_openai.cli.ui import _show


@pytest.fixture
def ui(tmp_path, lines):
    """Start it over a home with a call in its spool; give the process and the address it printed."""
    folder = tmp_path / "own" / "spool" / "local" / "1-gone"
    folder.mkdir(parents=True)
    (folder / "lock").touch()
    (folder / "000001.ndjson").write_bytes(lines.call(dataset="mine"))
    command = [sys.executable, "-m", "logos_shift_openai.cli", "--home", str(tmp_path / "own"), "ui", "--no-browser"]
    process = subprocess.Popen(
        command,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
    )
    said = ""
    while "Ctrl-C" not in said:
        line = process.stdout.readline()
        assert line, process.communicate()[1]
        said += line
    yield process, re.search(r"http://\S+", said)[0]
    if process.poll() is None:
        process.send_signal(signal.SIGINT)
    process.communicate(timeout=30)


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
    _, errors = process.communicate(timeout=30)
    assert process.returncode in {0, 130}
    assert address.partition("#")[2] not in errors


def test_the_token_is_printed_only_where_no_browser_opens(capsys):
    """It goes to the browser alone."""
    opened = []
    _show("http://127.0.0.1:1", "secret", browser=True, open_=lambda url: not opened.append(url))
    assert opened == ["http://127.0.0.1:1/login#secret"]
    assert "secret" not in capsys.readouterr().out
    _show("http://127.0.0.1:1", "secret", browser=True, open_=lambda _url: False)
    assert "/login#secret" in capsys.readouterr().out
