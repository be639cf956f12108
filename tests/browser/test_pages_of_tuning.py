"""What is done on the pages of a tuning job, of an autopilot, of policies, and of refused lines."""

from __future__ import annotations

import json

import pytest

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.server.tuners.step import workshop

POLICY = {"models": ["m"], "base": "small", "money_per_month": 25}
AT = "/v1/autopilot/d"


def test_the_report_and_the_answers_that_differ_are_told(filled, visit):
    """The figures are the API's; each disagreement has its question and both answers."""
    job = filled.ask("GET", "/v1/tuning", "read").json()["jobs"][-1]["id"]
    (one,) = filled.ask("GET", f"/v1/tuning/{job}/evaluations", "read").json()["evaluations"]
    page = visit(filled).log_in("read").go(f"/tuning/{job}")
    shown = page.get_by_role("region", name="Held-out questions")
    assert f"{one['report']['agreement'] * 100:.1f}" in shown.inner_text()
    assert one["said"] in shown.inner_text()
    pairs = filled.ask("GET", f"/v1/evaluations/{one['id']}/answers", "read").json()["pairs"]
    articles = page.locator("article.pair")
    assert articles.count() == len(pairs)
    for place, pair in enumerate(pairs):
        text = articles.nth(place).inner_text()
        assert pair["expected"]["content"] in text
        assert pair["answer"]["message"]["content"] in text
        assert pair["question"]["messages"][-1]["content"] in text
    page.get_by_role("link", name="All answers").click()
    page.get_by_role("region", name="All answers").wait_for()
    assert articles.count() == 10 < one["report"]["rows"]
    page.get_by_role("link", name="Further").click()
    page.wait_for_url("**after=10")
    page.locator("article.pair > h3", has_text="Row 11").wait_for()
    page.get_by_role("link", name="Back to the first").click()
    page.locator("article.pair[aria-label='Row 1']").wait_for()


@pytest.fixture
def piloted(server, lines):
    """A server with a dataset that may have an autopilot."""
    server.send(lines.call(dataset="d"))
    server.service.shop = workshop(server.store, server.home, "test", server.service.now)
    return server


def test_a_dataset_is_given_an_autopilot_and_it_is_switched(piloted, visit):
    """From the tuning page; each turn of the switch asks once more, and the policy is what was typed."""
    visitor = visit(piloted).log_in()
    page = visitor.go("/tuning")
    page.get_by_role("button", name="Give it one").click()
    page.wait_for_url("**/autopilot/d")
    visitor.settled()
    page.get_by_label("Models, with commas").fill("big, big-*")
    page.get_by_label("Model to be trained").fill("small")
    page.get_by_label("Dollars a month").fill("25.5")
    page.get_by_role("button", name="Give it an autopilot").click()
    page.locator(".heading .badge", has_text="notify").wait_for()
    policy = piloted.ask("GET", AT).json()["policy"]
    wanted = {"models": ["big", "big-*"], "base": "small", "money_per_month": 25.5, "mode": "notify"}
    assert policy == autopilot_from(wanted).to_json() == autopilot_from(policy).to_json()
    page.get_by_role("button", name="On", exact=True).click()
    page.get_by_role("button", name="No").click()
    assert piloted.ask("GET", AT).json()["mode"] == "notify"
    page.get_by_role("button", name="On", exact=True).press("Enter")
    page.get_by_role("button", name="Yes").press("Enter")
    page.locator(".heading .badge", has_text="on").wait_for()
    assert piloted.ask("GET", AT).json()["policy"] == {**policy, "mode": "on"}
    assert "it is on" in page.get_by_role("table", name="Steps").inner_text()
    assert visitor.complaints == []


def test_a_policy_with_a_fault_is_refused_by_its_path_and_nothing_typed_is_lost(piloted, visit):
    """In a field and in the JSON; also where the page is drawn anew in between, and then it is right and is taken."""
    piloted.ask("PUT", AT, json={"policy": POLICY})
    visitor = visit(piloted).log_in()
    page = visitor.go("/autopilot/d")
    before = piloted.ask("GET", AT).json()["policy"]
    page.get_by_label("Days between rounds").fill("a week")
    rest = page.get_by_label("All else of it")
    typed = json.dumps({"gate": {"floor": 3}, "unit": "call"}, indent=1)
    rest.fill(typed)
    page.get_by_role("button", name="Set the policy").click()
    page.locator(".fault", has_text="policy.days").wait_for()
    assert page.evaluate("document.activeElement.name") == "days"
    page.get_by_role("button", name="Off", exact=True).click()  # which draws the page anew
    page.get_by_role("button", name="Yes").click()
    page.locator(".heading .badge", has_text="off").wait_for()
    assert (page.get_by_label("Days between rounds").input_value(), rest.input_value()) == ("a week", typed)
    page.get_by_label("Days between rounds").fill("3")
    page.get_by_role("button", name="Set the policy").click()
    page.locator(".fault", has_text="policy.gate.floor").wait_for()
    assert page.evaluate("getSelection().toString()") == '"floor"'
    assert rest.get_attribute("aria-invalid") == "true"
    rest.fill("{no json")
    page.get_by_role("button", name="Set the policy").click()
    page.locator(".fault", has_text="must be JSON").wait_for()
    assert piloted.ask("GET", AT).json()["policy"] == {**before, "mode": "off"}
    rest.fill(json.dumps({"gate": {"floor": 0.9}, "unit": "call"}))
    page.get_by_role("button", name="Set the policy").click()
    page.locator(".toast", has_text="The policy is set").wait_for()
    after = piloted.ask("GET", AT).json()["policy"]
    assert (after["days"], after["gate"]["floor"], after["unit"], after["mode"]) == (3, 0.9, "call", "off")
    assert after["money_per_month"] == 25


def test_what_waits_is_approved_from_the_overview_on(filled, visit):
    """A reader sees it and may not; an admin's word is for the step that was shown."""
    reader = visit(filled).log_in("read").go("/autopilot/nlupp")
    assert reader.get_by_role("button", name="Approve").count() == 0
    visitor = visit(filled).log_in()
    visitor.page.get_by_role("listitem").filter(has_text="the autopilot of nlupp").get_by_role("link").click()
    visitor.page.wait_for_url("**/autopilot/nlupp")
    asked = []
    visitor.page.route("**/approve?**", lambda route: (asked.append(route.request), route.abort()))
    visitor.page.get_by_role("button", name="Approve").click()
    visitor.page.get_by_role("button", name="Yes").click()
    visitor.page.locator(".toast.bad").wait_for()
    assert asked[0].url.endswith("/v1/autopilot/nlupp/approve?step=tune")
    assert asked[0].headers["x-logos-shift"] == "dashboard"


def test_the_pace_of_a_rollout_is_changed_in_the_settings(server, visit):
    """What is proven stays as it is, by its path; a change that came in between is told, and saved again it is taken."""
    plan = {"models": ["m"], "candidate": "small", "dataset": "d"}
    assert server.ask("POST", "/v1/rollouts/fresh", json={"plan": plan}).ok
    visitor = visit(server).log_in()
    page = visitor.go("/settings")
    page.get_by_text("Change the policy of fresh").click()
    field = page.get_by_label("The policy of fresh")
    policy = json.loads(field.input_value())
    field.fill(json.dumps({**policy, "alpha": 0.2}, indent=2))
    page.get_by_role("button", name="Change it").click()
    page.locator(".fault", has_text="policy.alpha: what is proven").wait_for()
    assert json.loads(field.input_value())["alpha"] == 0.2
    at = "[document.activeElement.selectionStart, document.activeElement.selectionEnd]"
    start, end = page.evaluate(at)
    assert field.input_value()[start:end] == '"alpha"'
    server.ask("PUT", "/v1/rollouts/fresh/policy", json={"policy": {**policy, "hold_back": 7}})
    field.fill(json.dumps({**policy, "step_seconds": 60}))
    page.get_by_role("button", name="Change it").click()
    page.locator(".fault", has_text="in the meantime").wait_for()
    page.get_by_role("button", name="Change it").click()
    page.locator(".toast", has_text="The policy is changed").wait_for()
    assert server.ask("GET", "/v1/rollouts/fresh").json()["policy"] == {**policy, "step_seconds": 60}


def test_refused_lines_are_counted_by_their_fault(filled, visit):
    """As the API has them, from the overview on."""
    visitor = visit(filled).log_in("read")
    visitor.page.get_by_role("link", name="lines refused").click()
    visitor.page.wait_for_url("**/refused")
    visitor.settled()
    told = filled.ask("GET", "/v1/refused", "read").json()
    rows = visitor.page.get_by_role("table").locator("tbody tr")
    assert rows.count() == len(told["reasons"]) >= 3
    assert rows.locator("code").all_inner_texts() == [one["reason"] for one in told["reasons"]]
