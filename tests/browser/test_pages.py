"""Every page over real traffic: at both widths and themes, without a complaint, read by axe, walked by keyboard."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

TAKES = 30
AXE = Path(__file__).parent / "axe" / "node_modules" / "axe-core" / "axe.min.js"
LOOKS = [(360, "light"), (360, "dark"), (1440, "light"), (1440, "dark")]


@pytest.fixture(scope="session")
def axe():
    if not AXE.exists():
        (pytest.fail if os.environ.get("CI") else pytest.skip)("axe-core: run `npm install` in tests/browser/axe")
    return AXE.read_text(encoding="utf-8")


def paths(server):
    """Name every page, and what a person may be at of it."""
    found = {
        "overview": "/",
        "calls": "/calls",
        "search": "/calls?text=card&dataset=banking77",
        "settings": "/settings",
        "experiments": "/experiments",
        "experiment": "/experiments/banking-tiny",
        "datasets": "/datasets",
        "dataset": "/datasets/banking77?answers=any&heldout=20",
        "tunings": "/tuning",
    }
    job = server.ask("GET", "/v1/tuning", "read").json()["jobs"][-1]
    found["tuning"] = f"/tuning/{job['id']}"
    found["answers"] = f"/tuning/{job['id']}?answers=all"
    found["autopilot"] = "/autopilot/nlupp"
    found["no-autopilot"] = "/autopilot/bfcl"
    found["refused"] = "/refused"
    pair = server.ask("GET", "/v1/shadows?differ=true", "read").json()["pairs"][0]
    found["pair"] = f"/calls/{pair['shadow_of']}"
    found["empty"] = "/calls?dataset=none"
    for name, query in (
        ("tool", "dataset=bfcl"),
        ("json", "dataset=nlupp"),
        ("candidate", "variant=candidate"),
        ("error", "errors=true"),
    ):
        call = server.ask("GET", f"/v1/calls?limit=1&{query}", "read").json()["calls"][0]
        found[name] = f"/calls/{call['id']}"
    return found


@pytest.mark.parametrize(("width", "scheme"), LOOKS)
def test_every_page_fits_and_axe_finds_nothing_serious(filled, visit, axe, width, scheme):
    """Nothing stands out of the window sideways, and no browser complains."""
    visitor = visit(filled, width=width, scheme=scheme)
    visitor.page.goto(f"{filled.url}/login")
    visitor.settled()
    faults = {"login": serious(visitor.page, axe)}
    visitor.shoot("login")
    visitor.log_in()
    for name, path in paths(filled).items():
        page = visitor.go(path)
        assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (name, width)
        assert page.locator("main h1").count() == 1
        faults[name] = serious(page, axe)
        visitor.shoot(name)
    assert {name: found for name, found in faults.items() if found} == {}
    assert visitor.complaints == []


def serious(page, axe):
    """Run axe; its source comes by the debugger, as the page's own policy lets no other script in."""
    page.evaluate(axe)
    result = page.evaluate("axe.run(document, {resultTypes: ['violations']})")
    assert len(result["passes"]) > 10, "axe looked at nothing"
    return [
        (one["id"], node["html"][:200], node["failureSummary"][:300])
        for one in result["violations"]
        if one["impact"] in {"serious", "critical"}
        for node in one["nodes"]
    ]


def test_the_first_look_tells_what_was_recorded(filled, visit):
    """The figures are the API's."""
    page = visit(filled).log_in().page
    stats = filled.ask("GET", "/v1/overview", "read").json()
    tiles = page.locator(".tile")
    assert tiles.nth(0).locator("strong").inner_text() == f"{stats['calls']:,}"
    assert tiles.nth(4).locator("strong").inner_text().startswith("$")
    assert "banking77" in page.locator("main").inner_text()
    page.locator(".plot canvas").wait_for()
    page.get_by_text("As a table", exact=True).click()
    assert page.locator(".chart table tbody tr").count() >= 12


def test_a_search_finds_by_text_and_its_address_can_be_shared(filled, visit):
    """Typed, sent, and opened again by somebody else."""
    visitor = visit(filled).log_in("read")
    page = visitor.go("/calls")
    page.fill("input[name=text]", "greatest common DIVISOR")
    page.press("input[name=text]", "Enter")
    page.wait_for_url("**/calls?text=*")
    visitor.settled()
    assert page.locator("mark").first.inner_text().lower() == "greatest common divisor"
    rows = page.locator("table.cards tbody tr").count()
    other = visit(filled).log_in("read")
    assert other.go(page.url.removeprefix(filled.url)).locator("table.cards tbody tr").count() == rows > 0
    page.locator("table.cards tbody a").first.click()
    page.wait_for_url("**/calls/*-*")
    visitor.settled()
    assert "math_gcd" in page.locator(".conversation").inner_text()


def test_pages_of_calls_come_one_after_the_other(filled, visit):
    """Older, and back to the latest."""
    visitor = visit(filled).log_in("read")
    page = visitor.go("/calls")
    first = page.locator("table.cards tbody a").first.get_attribute("href")
    page.get_by_role("link", name="Older").click()
    page.wait_for_url("**cursor=*")
    visitor.settled()
    assert page.locator("table.cards tbody a").first.get_attribute("href") != first
    page.get_by_role("link", name="Back to the latest").click()
    page.wait_for_url("**/calls")
    visitor.settled()
    assert page.locator("table.cards tbody a").first.get_attribute("href") == first


def test_a_call_that_comes_in_is_shown_without_a_reload(filled, visit, lines):
    """The list looks again by itself."""
    page = visit(filled).log_in("read").go("/calls?dataset=fresh")
    page.evaluate("window.stayed = true")
    assert page.get_by_text("No call fits").count() == 1
    filled.send(lines.call(dataset="fresh"))
    page.wait_for_selector("table.cards tbody tr")
    assert page.evaluate("window.stayed") is True


def test_the_keyboard_alone_is_enough(filled, visit):
    """From the login to the feedback on a call, with Tab, Enter and typing."""
    visitor = visit(filled)
    page = visitor.page
    page.goto(f"{filled.url}/login")
    visitor.settled()
    walk_to(page, "input[name=key]")
    page.keyboard.type(filled.keys["admin"])
    page.keyboard.press("Enter")
    page.wait_for_url(f"{filled.url}/")
    visitor.settled()
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.className") == "skip"
    walk_to(page, "nav a[href='/calls']")
    assert page.evaluate("getComputedStyle(document.activeElement).outlineStyle") == "solid"
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls")
    visitor.settled()
    walk_to(page, "table.cards tbody a")
    page.keyboard.press("Enter")
    page.wait_for_url("**/calls/*")
    visitor.settled()
    walk_to(page, "input[name=comment]")
    page.keyboard.type("seen by keyboard")
    walk_to(page, "button[value=success]")
    page.keyboard.press("Enter")
    page.locator(".said-of").get_by_text("seen by keyboard").wait_for()
    assert visitor.complaints == []


def walk_to(page, selector, most=120):
    for _ in range(most):
        page.keyboard.press("Tab")
        if page.evaluate("wanted => document.activeElement.matches(wanted)", selector):
            return
    raise AssertionError(f"{selector} cannot be reached by Tab")


def test_the_theme_is_chosen_and_kept(filled, visit):
    """Against the system's, over pages."""
    page = visit(filled, scheme="light").log_in("read").page
    back = "getComputedStyle(document.documentElement).backgroundColor"
    light = page.evaluate(back)
    page.get_by_role("button", name="Dark theme").click()
    dark = page.evaluate(back)
    page.goto(f"{filled.url}/calls")
    assert page.evaluate(back) == dark != light


@pytest.mark.parametrize("width", [360, 1440])
def test_processes_that_lose_records_stand_first(server, visit, width):
    """With the reason, in a table that fits; what the client wrote is text."""
    good = {"process": "a" * 32, "sequence": 1, "counts": {"recorded": 1_200}, "version": "0.1.0"}
    bad = {**good, "process": "b" * 32, "counts": {"recorded": 5, "queue_full": 3}, "version": "<b>0.1.0</b>"}
    bad |= {"config": {"version": 2, "age": 500, "poll": 30}, "spool": {"bytes": 4_096, "segments": 1}}
    for report in (bad, good):
        assert server.ask("POST", "/v1/clients", "ingest", json=report).json() == {"taken": True}
    visitor = visit(server, width=width).log_in()
    page = visitor.go("/")
    table = page.get_by_role("table", name="Processes that record")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
    first, second = (row.inner_text() for row in table.locator("tbody tr").all())
    assert "bbbbbbbb" in first
    assert "3 records lost (queue_full 3); its config was not confirmed for 500 s" in " ".join(first.split())
    assert "<b>0.1.0</b>" in first
    assert "aaaaaaaa" in second
    assert "1,200" in second
    assert "3 of 1,208 records lost by clients in seven days (queue_full 3)" in page.locator("main").inner_text()
    visitor.shoot("processes")
    assert visitor.complaints == []
