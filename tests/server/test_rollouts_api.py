"""Rollouts over HTTP: begun with a policy, changed by hand, read page by page, and safe from changes beside them."""

from __future__ import annotations

import json
import math

import pytest

from logos_shift_openai.server import rollouts
from logos_shift_openai.server.config_versions import live_config
from logos_shift_openai.server.store.database import open_store

PLAN = {"models": ["big"], "candidate": "small", "unit": "call"}
AT = "/v1/rollouts/e"


def begin(server, **parts):
    return server.ask("POST", AT, json={"plan": PLAN, **parts})


def share(server):
    return server.ask("GET", "/v1/experiments/e", "read").json()["experiment"]["share"]


def test_the_life_of_a_rollout(server):
    """Each step is in the config at once, and every decision is kept with who asked for it."""
    assert server.ask("GET", "/v1/rollouts", "read").json() == {"rollouts": []}
    begun = begin(server, policy={"margin": 0.1, "ladder": [500, 5000, 10000]})
    assert begun.status_code == 200
    one = begun.json()
    assert (one["phase"], one["share"], one["ladder"]) == ("ramping", 500, [500, 5_000, 10_000])
    assert (one["why"], one["policy"]["unit"], one["warnings"]) == ("the rollout begins", "call", [])
    assert math.isclose(one["harm_needed"], math.log(20))
    assert share(server) == 500
    assert begin(server).status_code == 409
    steps = (("pause", "paused", 500), ("resume", "ramping", 500), ("promote", "held_back", 9_900))
    for verb, phase, part in (*steps, ("rollback", "rolled_back", 0)):
        shown = server.ask("POST", f"{AT}/{verb}").json()
        assert (shown["phase"], shown["share"], share(server)) == (phase, part, part)
    assert server.ask("POST", f"{AT}/promote").status_code == 409
    assert server.ask("GET", "/v1/rollouts", "read").json()["rollouts"] == [server.ask("GET", AT, "read").json()]
    assert server.ask("GET", "/v1/rollouts?experiment=f", "read").json() == {"rollouts": []}
    assert len(server.ask("GET", "/v1/rollouts?experiment=e", "read").json()["rollouts"]) == 1
    versions = server.ask("GET", "/v1/config/versions", "read").json()["versions"]
    assert [one["why"] for one in versions] == ["roll back by hand", "promote by hand", "the rollout begins"]
    assert {one["by_key"] for one in versions} == {server.keys["admin"].split("_")[2]}
    assert server.ask("POST", AT, json={}).json()["share"] == 100  # the experiment runs still


def test_decisions_are_read_page_by_page(server):
    """The latest first, none twice, none left out, each with its document."""
    begin(server)
    for verb in ("pause", "resume", "pause", "rollback"):
        server.ask("POST", f"{AT}/{verb}")
    found, before = [], ""
    while True:
        page = server.ask("GET", f"{AT}/decisions?limit=2{before}", "read").json()
        found += page["decisions"]
        if page["next"] is None:
            break
        before = f"&before={page['next']}"
    said = ["roll back by hand", "pause by hand", "resume by hand", "pause by hand", "the rollout begins"]
    assert [one["why"] for one in found] == said
    assert found[0]["document"]["state"]["phase"] == "rolled_back"
    assert found[0]["document"]["evidence"] == []
    for query in ("limit=0", "limit=101", "before=0", "cursor=1"):
        assert server.ask("GET", f"{AT}/decisions?{query}", "read").status_code == 400


def test_a_step_by_hand_may_name_the_revision_it_is_about(server):
    """412 once the rollout has changed; a list and `*` are read as HTTP has them."""
    etag = begin(server).headers["ETag"]
    assert etag == f'"{server.ask("GET", AT, "read").json()["revision"]}"'
    assert server.ask("POST", f"{AT}/pause", headers={"If-Match": f'"other", {etag}'}).status_code == 200
    stale = server.ask("POST", f"{AT}/resume", headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["error"]["where"]) == (412, "If-Match")
    assert server.ask("GET", AT, "read").json()["phase"] == "paused"
    assert server.ask("POST", f"{AT}/resume", headers={"If-Match": "*"}).status_code == 200


@pytest.mark.parametrize(
    ("body", "where"),
    [
        ({"policy": {"margin": 7}}, "policy.margin"),
        ({"policy": {"guardrails": [{"metric": "errors", "cap": 3}]}}, "policy.guardrails[0].cap"),
        ({"policy": {"guardrails": [{"metric": "mood"}]}}, "policy.guardrails[0].metric"),
        ({"policy": {"alpha": float("nan")}}, None),
        ({"policy": {"speed": 1}}, "policy.speed"),
        ({"policy": [1]}, "$.policy"),
        ({"plan": {**PLAN, "models": []}}, "$.plan.models"),
        ({"plan": {**PLAN, "unit": "nobody"}}, "$.plan.unit"),
        ({"more": 1}, "$"),
    ],
)
def test_a_policy_is_read_strictly(server, body, where):
    """400 with the path of the fault, and nothing is begun: no experiment either."""
    headers = {"Content-Type": "application/json"}
    answer = server.ask("POST", AT, data=json.dumps({"plan": PLAN, **body}), headers=headers)
    assert answer.status_code == 400
    if where is not None:
        assert answer.json()["error"]["where"] == where
    assert server.ask("GET", "/v1/rollouts", "read").json()["rollouts"] == []
    assert server.ask("GET", "/v1/experiments", "read").json()["experiments"] == []


def test_a_cap_that_cannot_be_found_is_a_conflict(server):
    """Without earlier calls nothing says where latency is to be cut; 409, and nothing is begun."""
    answer = server.ask("POST", AT, json={"plan": PLAN, "policy": {"primary": {"metric": "latency"}}})
    assert (answer.status_code, "cap" in answer.json()["error"]["message"]) == (409, True)
    assert server.ask("GET", "/v1/experiments", "read").json()["experiments"] == []


def test_a_reader_reads_and_no_more(server):
    """403 whatever is asked for, there or not."""
    begin(server)
    for path in (AT, "/v1/rollouts/nix"):
        for verb in ("", "/pause", "/resume", "/promote", "/rollback"):
            assert server.ask("POST", path + verb, "read", json={}).status_code == 403
        assert server.ask("GET", path, "ingest").status_code == 403
    for path in ("", "/decisions"):
        assert server.ask("GET", f"/v1/rollouts/nix{path}", "read").status_code == 404
    assert server.ask("POST", "/v1/rollouts/nix/pause").status_code == 404


def changed(server, **parts):
    live = server.ask("GET", "/v1/config").json()
    for name, value in parts.items():
        live["experiments"][0][name] = value
    return server.ask("PUT", "/v1/config", json={"document": live})


@pytest.mark.parametrize(
    ("part", "value"),
    [
        ("share", 5_000),
        ("salt", "another"),
        ("unit", "user"),
        ("dataset", "sales"),
        ("match", {"model": ["other"]}),
        ("candidate", {"model": "tiny"}),
        ("state", "stopped"),
    ],
)
def test_a_config_that_takes_an_experiment_from_its_rollout_is_refused(server, part, value):
    """409 with what to do first; when it has ended, the experiment is anybody's."""
    begin(server)
    before = server.ask("GET", "/v1/config").json()
    refused = changed(server, **{part: value})
    assert refused.status_code == 409
    message = refused.json()["error"]["message"]
    assert f"the {part} of e cannot be changed: its rollout is ramping" in message
    assert "`logos-shift rollout rollback e`" in message
    assert ("`logos-shift rollout pause e`" in message) == (part == "share")
    assert server.ask("GET", "/v1/config").json() == before
    server.ask("POST", f"{AT}/rollback")
    assert changed(server, **{part: value}).status_code == 200


def test_other_ways_around_a_rollout_are_refused(server):
    """Its share and its end by their own endpoints, its removal, and another experiment before it."""
    begin(server)
    assert server.ask("POST", "/v1/experiments/e/share", json={"share": 200}).status_code == 409
    assert server.ask("POST", "/v1/experiments/e/stop").status_code == 409
    assert server.ask("PUT", "/v1/config", json={"document": {}}).status_code == 409
    live = server.ask("GET", "/v1/config").json()
    rival = {**live["experiments"][0], "key": "rival", "match": {"model": ["b*"]}, "salt": "s", "share": 0}
    first = server.ask("PUT", "/v1/config", json={"document": {**live, "experiments": [rival, *live["experiments"]]}})
    assert (first.status_code, "rival would take" in first.text) == (409, True)
    after = {**live, "experiments": [*live["experiments"], rival], "enabled": False}
    assert (
        server.ask("PUT", "/v1/config", json={"document": after}).status_code == 200
    )  # behind it, and the kill switch
    assert server.ask("GET", AT, "read").json()["warnings"] == [
        "experiment rival is about the same calls; e takes them"
    ]
    assert server.ask("POST", "/v1/experiments/e/pause").status_code == 200  # every call to its baseline, for now


def test_a_pause_gives_the_share_away_and_the_next_look_takes_it_back(server, tmp_path):
    """What was set by hand in the meantime is said, kept as a decision, and put right when the rollout goes on."""
    begin(server)
    server.ask("POST", f"{AT}/pause")
    assert changed(server, salt="another").status_code == 409
    assert server.ask("POST", "/v1/experiments/e/share", json={"share": 3_000}).status_code == 200
    server.ask("POST", f"{AT}/resume")
    store = open_store(tmp_path / "server" / "store.sqlite3")
    ((key, decision),) = rollouts.tick(store, server.service.now() + 1)
    assert (key, decision.action, decision.event) == ("e", "hold", "mended")
    assert decision.why.startswith("share of the experiment had been changed in the config by hand")
    with store.reading() as connection:
        assert json.loads(live_config(connection).document)["experiments"][0]["share"] == 100
    store.close()
    assert server.ask("GET", AT, "read").json()["why"] == decision.why


def test_where_programs_follow_a_file_the_rollout_is_in_the_file(serve, tmp_path):
    """As `logos-shift ui` serves it: begun, paused and rolled back there, and nothing is in the store's own config."""
    home = tmp_path / "home"
    home.mkdir()
    server = serve(embedded=home)
    assert begin(server, policy={"ladder": [500, 10000]}).json()["share"] == 500
    written = json.loads((home / "config.json").read_text())["experiments"][0]
    assert (written["key"], written["share"], written["candidate"]["model"]) == ("e", 500, "small")
    assert share(server) == 500
    assert server.ask("POST", f"{AT}/pause").json()["phase"] == "paused"
    assert server.ask("POST", f"{AT}/rollback").json()["share"] == 0
    assert json.loads((home / "config.json").read_text())["experiments"][0]["share"] == 0
    with server.store.reading() as connection:
        assert live_config(connection).version == 0
    refused = server.ask("POST", "/v1/experiments", json={"key": "f", "models": ["big"], "candidate": "small"})
    assert (refused.status_code, refused.json()["error"]["code"]) == (409, "embedded_config")


def test_the_pace_is_changed_and_what_is_proven_is_not(server):
    """The clocks at once, as a decision with its why; a part that the proofs are about is refused by its path."""
    policy = begin(server, policy={"ladder": [500, 10000]}).json()["policy"]
    put = server.ask("PUT", f"{AT}/policy", json={"policy": {**policy, "step_seconds": 60, "deadline_seconds": 99}})
    assert (put.status_code, put.json()["policy"]) == (200, {**policy, "step_seconds": 60, "deadline_seconds": 99})
    assert "step_seconds 3600.0 → 60" in put.json()["why"]
    assert share(server) == 500
    last = server.ask("GET", f"{AT}/decisions?limit=1", "read").json()["decisions"][0]
    assert (last["action"], last["event"], last["config_version"]) == ("hold", "pace", None)
    for part, value in (("margin", 0.4), ("ladder", [600, 10000]), ("guardrails", []), ("shadow_pairs", 5)):
        refused = server.ask("PUT", f"{AT}/policy", json={"policy": {**policy, part: value}})
        error = refused.json()["error"]
        assert (refused.status_code, error["code"], error["where"]) == (409, "fixed", f"policy.{part}")
    bad = server.ask("PUT", f"{AT}/policy", json={"policy": {"step_seconds": "soon"}})
    assert (bad.status_code, bad.json()["error"]["where"]) == (400, "policy.step_seconds")
    assert server.ask("PUT", f"{AT}/policy", "read", json={"policy": policy}).status_code == 403
    stale = server.ask("PUT", f"{AT}/policy", json={"policy": policy}, headers={"If-Match": '"older"'})
    assert stale.status_code == 412
    assert server.ask("PUT", "/v1/rollouts/none/policy", json={"policy": policy}).status_code == 404


def test_the_pace_of_a_shadow_is_in_the_config_at_once(server):
    """What is mirrored in a minute is the clients' to know; and what has ended keeps its policy."""
    plan = {**PLAN, "provider": "lab"}
    begun = server.ask("POST", AT, json={"plan": plan, "policy": {"shadow_pairs": 5}}).json()["policy"]
    assert server.ask("PUT", f"{AT}/policy", json={"policy": {**begun, "shadow_per_minute": 77}}).ok
    experiment = server.ask("GET", "/v1/experiments/e", "read").json()["experiment"]
    assert experiment["shadow"]["calls_per_minute"] == 77
    server.ask("POST", f"{AT}/rollback")
    assert server.ask("PUT", f"{AT}/policy", json={"policy": begun}).status_code == 409


def test_a_name_with_a_slash_is_one_part_of_a_path(server):
    """As it is sent, with %2F."""
    told = server.ask("POST", "/v1/autopilot/a%2Fb/mode", json={"mode": "off"}).json()["error"]["message"]
    assert told == "there is no autopilot of the dataset a/b"
    assert server.ask("GET", "/v1/autopilot/a%2Fb/history", "read").json() == {"steps": []}
    assert server.ask("GET", "/v1/autopilot/a/b/history", "read").json()["error"]["message"] == "there is nothing here"


def test_refused_lines_are_counted_and_not_kept(server, lines):
    """By the part at fault; no word of the line is anywhere in the answer."""
    assert server.ask("GET", "/v1/refused", "read").json() == {"lines": 0, "reasons": []}
    sent = server.send(lines.call(), b"my secret\n", b'{"kind": "my secret"}\n')
    assert len(sent.json()["refused"]) == 2
    told = server.ask("GET", "/v1/refused", "read")
    assert told.json()["lines"] == sum(one["lines"] for one in told.json()["reasons"]) == 2
    assert "my secret" not in told.text
    assert server.ask("GET", "/v1/refused", "ingest").status_code == 403
