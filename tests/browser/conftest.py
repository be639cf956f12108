"""A real browser at a real server: Debian's Chromium through Playwright.

Where there is no Chromium or no Playwright the tests are skipped, but in CI they fail. `LOGOS_SHIFT_SCREENSHOTS=folder`
keeps a picture of every page that is looked at.
"""

from __future__ import annotations

import os
import shutil
import sys
from pathlib import Path

import pytest

HERE = Path(__file__).parent
sys.path[:0] = [str(HERE.parent / name) for name in ("stores", "sdk", "server", "browser")]
pytest.importorskip("uvicorn")

from filling import CHANNEL, fill  # noqa: E402
from served import Lines, Served  # noqa: E402

from logos_shift_openai.server.notifications.channels import channels_from  # noqa: E402

SHOTS = os.environ.get("LOGOS_SHIFT_SCREENSHOTS")  # read before the fixture of all tests takes it away
CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser")


@pytest.fixture(scope="module")
def chromium():
    """Start the browser, and end it with its module: as long as Playwright runs, no other test can run an event loop."""
    try:
        from playwright.sync_api import sync_playwright
    except ImportError:
        sync_playwright = None
    if sync_playwright is None or CHROMIUM is None:
        what = "Playwright is not installed" if sync_playwright is None else "there is no Chromium (apt: chromium)"
        (pytest.fail if os.environ.get("CI") else pytest.skip)(what)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(scope="session")
def filled(tmp_path_factory):
    """A server with real traffic in it."""
    folder = tmp_path_factory.mktemp("filled")
    server = Served(folder / "server" / "store.sqlite3", channels=channels_from(CHANNEL))
    fill(server, folder / "client")
    yield server
    server.close()


@pytest.fixture
def server(tmp_path):
    """A server with nothing in it."""
    one = Served(tmp_path / "server" / "store.sqlite3")
    yield one
    one.close()


class Visitor:
    """Somebody at a browser, and all that their browser complained of."""

    def __init__(self, browser, server, width=1440, scheme="light"):
        self.server = server
        self.size = f"{width}-{scheme}"
        self.context = browser.new_context(
            viewport={"width": width, "height": 900}, color_scheme=scheme, locale="en-US", timezone_id="UTC"
        )
        self.context.set_default_timeout(20_000)
        self.page = self.context.new_page()
        self.complaints = []
        self.page.on("console", self._heard)
        self.page.on("pageerror", lambda error: self.complaints.append(str(error)))
        self.page.on("dialog", lambda dialog: (self.complaints.append(f"dialog {dialog.message}"), dialog.dismiss()))

    def _heard(self, message):
        if message.type in {"error", "warning"}:
            self.complaints.append(message.text)

    def log_in(self, key="admin"):
        self.page.goto(f"{self.server.url}/login")
        self.page.fill("input[name=key]", self.server.keys.get(key, key))
        self.page.click("button.main")
        self.page.wait_for_url(f"{self.server.url}/")
        self.settled()
        return self

    def go(self, path):
        self.page.goto(self.server.url + path)
        self.settled()
        return self.page

    def settled(self):
        self.page.wait_for_selector("main:not([aria-busy]):not(:has([aria-busy]))")

    def shoot(self, name):
        if SHOTS:
            Path(SHOTS).mkdir(parents=True, exist_ok=True)
            self.page.wait_for_timeout(200)
            self.page.screenshot(path=f"{SHOTS}/{name}-{self.size}.png", full_page=True)


@pytest.fixture
def visit(chromium):
    """Let people come; what their browsers complained of is looked at when they leave."""
    visitors = []

    def come(server, **options):
        visitors.append(Visitor(chromium, server, **options))
        return visitors[-1]

    yield come
    for one in visitors:
        one.context.close()


@pytest.fixture
def lines():
    return Lines()


@pytest.fixture
def serve(tmp_path):
    """Start servers on a store of this test's own; they end with it."""
    running = []

    def start(**options):
        running.append(Served(tmp_path / f"{len(running)}" / "store.sqlite3", **options))
        return running[-1]

    yield start
    for one in running:
        one.close()
