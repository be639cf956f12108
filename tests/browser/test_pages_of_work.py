"""What is done on the pages of experiments, datasets and tuning: steered, chosen, built, downloaded, tried."""

from __future__ import annotations

import json

import pytest

KEY = "banking-tiny"


def test_an_experiment_is_told_by_the_figures_of_its_rollout(filled, visit):
    """Where it stands, both sides with intervals, the courses, every decision with its why, and the pairs that differ."""
    page = visit(filled).log_in("read").go(f"/experiments/{KEY}")
    rollout = filled.ask("GET", f"/v1/rollouts/{KEY}", "read").json()
    assert page.locator(".ladder .now").inner_text() == f"{rollout['share'] / 100:g}\u00a0%"
    rows = page.locator("table.cards").first.locator("tbody tr")
    assert rows.count() == len(rollout["sides"]) == 3
    success = rollout["sides"][0]["baseline"]
    assert f"{success['low'] * 100:.1f}\u00a0% to {success['high'] * 100:.1f}\u00a0%, of {success['units']}" in (
        rows.first.inner_text()
    )
    page.locator(".plot canvas").nth(1).wait_for()
    decisions = filled.ask("GET", f"/v1/rollouts/{KEY}/decisions?evidence=false", "read").json()["decisions"]
    assert "evidence" not in decisions[0]["document"]
    shown = page.get_by_role("table", name="Decisions").locator("td.why")
    assert shown.all_inner_texts() == [one["why"] for one in decisions]
    assert page.get_by_role("button", name="Roll back").count() == 0
    page.get_by_role("link", name="All pairs").click()
    page.wait_for_url("**pairs=all")
    page.get_by_role("table", name="The latest pairs").locator("tbody a").first.click()
    page.get_by_text("The candidate said").wait_for()
    assert page.locator(".sides .turn").count() == 2


@pytest.fixture
def begun(server):
    plan = {"models": ["m"], "candidate": "small", "dataset": "d"}
    assert server.ask("POST", "/v1/rollouts/fresh", json={"plan": plan, "policy": {"ladder": [500, 10000]}}).ok
    return server


def test_a_rollout_is_steered_by_hand_and_followed_without_a_reload(begun, visit):
    """Each step asks once more; what somebody else does is seen by itself."""
    visitor = visit(begun).log_in()
    page = visitor.go("/experiments/fresh")
    page.evaluate("window.stayed = true")
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="No").click()
    assert begun.ask("GET", "/v1/rollouts/fresh").json()["phase"] == "ramping"
    page.get_by_role("button", name="Pause").press("Enter")
    page.get_by_role("button", name="Yes").press("Enter")
    page.locator(".heading .badge", has_text="paused").wait_for()
    begun.ask("POST", "/v1/rollouts/fresh/resume")
    page.locator(".heading .badge", has_text="ramping").wait_for()
    page.get_by_role("button", name="Promote").click()
    page.get_by_role("button", name="Yes").click()
    page.locator(".heading .badge", has_text="held back").wait_for()
    page.get_by_role("button", name="Roll back").click()
    page.get_by_role("button", name="Yes").click()
    page.locator(".heading .badge", has_text="rolled back").wait_for()
    assert page.evaluate("window.stayed") is True
    assert visitor.complaints == []


def test_what_waits_leads_to_where_it_is_decided(begun, visit):
    """From the overview to the rollout that was paused."""
    begun.ask("POST", "/v1/rollouts/fresh/pause")
    page = visit(begun).log_in("read").page
    page.get_by_role("region", name="Waits for you").get_by_role("link", name="Look").click()
    page.wait_for_url("**/experiments/fresh")


def test_an_experiment_without_a_rollout_is_shown_and_paused(server, visit):
    """By its counts alone."""
    plan = {"key": "by-hand", "models": ["m"], "candidate": "small", "share": 500}
    assert server.ask("POST", "/v1/experiments", json=plan).ok
    visitor = visit(server).log_in()
    page = visitor.go("/experiments")
    page.get_by_role("link", name="by-hand").click()
    page.get_by_role("button", name="Pause").click()
    page.get_by_role("button", name="Yes").click()
    page.get_by_role("button", name="Resume").wait_for()
    assert server.ask("GET", "/v1/experiments/by-hand").json()["experiment"]["state"] == "paused"
    assert visitor.complaints == []


def test_a_choice_stands_in_the_address_and_is_built_and_downloaded(filled, visit):
    """What each rule leaves out is told before; the edition has what was told, and its file is the API's."""
    visitor = visit(filled).log_in()
    page = visitor.go("/datasets/banking77")
    page.get_by_text("answered by a candidate").wait_for()
    page.get_by_label("Held out, %").fill("30")
    page.get_by_label("Answers").select_option("any")
    page.get_by_role("button", name="Look").click()
    page.wait_for_url("**answers=any**heldout=30")
    visitor.settled()
    assert page.get_by_text("answered by a candidate").count() == 0
    train = page.locator(".tile strong").nth(1).inner_text()
    page.get_by_role("button", name="Build the edition").click()
    page.locator(".toast", has_text="is made").wait_for()
    row = page.get_by_role("table", name="Editions").locator("tbody tr").first
    row.get_by_text("files and manifest").click()
    with page.expect_download() as coming:
        row.get_by_role("link", name="train.jsonl, as it lies there").click()
    with open(coming.value.path(), encoding="utf-8") as file:  # noqa: PTH123 - Playwright's own path
        lines = [json.loads(line) for line in file]
    assert len(lines) == int(train)
    edition = filled.ask("GET", "/v1/editions?dataset=banking77").json()["editions"][0]
    assert edition["manifest"]["choice"]["heldout"] == 3_000
    row.get_by_role("button", name="Remove").click()
    row.get_by_role("button", name="Yes").click()
    page.locator(".toast", has_text="Removed").wait_for()
    assert visitor.complaints == []


def test_a_tuning_job_shows_its_curves_and_one_is_started(filled, visit):
    """The numbers under a curve are the job's; what cannot be started is said where it was asked."""
    visitor = visit(filled).log_in()
    job = filled.ask("GET", "/v1/tuning", "read").json()["jobs"][-1]
    page = visitor.go(f"/tuning/{job['id']}")
    page.locator(".plot canvas").first.wait_for()
    page.get_by_text("As a table", exact=True).first.click()
    shown = page.get_by_role("table", name="Loss").locator("tbody tr")
    assert shown.count() == len(job["points"])
    assert f"{job['points'][0]['train_loss']:.2f}" in shown.last.inner_text()
    assert job["candidate"]["model"] in page.locator("pre").first.inner_text()
    visitor.go("/tuning")
    page.get_by_label("Model").fill("other-base")
    page.get_by_label("Provider").fill("nobody")
    page.get_by_role("button", name="Start").click()
    page.locator(".fault", has_text="LOGOS_SHIFT_PROVIDER_NOBODY").wait_for()


def test_a_channel_is_tried_and_prices_of_the_latest_models_are_told(filled, visit):
    """By whoever may; the price that the list knows stands beside those of one's own."""
    page = visit(filled).log_in().go("/settings")
    page.get_by_role("button", name="Test ops").click()
    page.get_by_text("ops has taken the test.").wait_for()
    assert "rollout.ramped" in page.get_by_role("table", name="The latest events").inner_text()
    seen = page.get_by_role("table", name="What the models of the latest calls cost")
    assert "the list that comes along" in seen.locator("tr", has_text="gpt-6.1-sol").inner_text()
    assert KEY in page.get_by_role("table", name="Policies").inner_text()
    other = visit(filled).log_in("read").go("/settings")
    assert other.get_by_text("Notifications are an admin's affair").count() == 1
