"""Calls and counts over HTTP."""

from __future__ import annotations

import pytest
from served import ids


def test_sampled_calls_are_marked_in_lists(server, lines):
    """Those alone, with what was asked and answered null; one call says the same."""
    sampled = lines.call(request=b"null", bodies=False)
    server.send(sampled, lines.call())
    page = server.ask("GET", "/v1/calls?previews=true", "read").json()["calls"]
    assert {one["id"] == ids(sampled): one.get("bodies") for one in page} == {True: False, False: None}
    (one,) = [one for one in page if one["id"] == ids(sampled)]
    assert (one["asked"], one["answered"], "elsewhere" in one) == (None, None, False)
    assert server.ask("GET", f"/v1/calls/{one['id']}", "read").json()["bodies"] is False


def test_pages_come_to_all_calls_once_in_order(server, lines):
    """Also where many have the same time, and while new ones come in."""
    sent = [lines.call(at=1_764_000_000_000 + number // 4) for number in range(23)]
    server.send(*sent)
    found, cursor = [], ""
    while True:
        page = server.ask("GET", f"/v1/calls?limit=5{cursor}", "read").json()
        found += [call["id"] for call in page["calls"]]
        server.send(lines.call(at=1_764_000_900_000))
        if page["next"] is None:
            break
        cursor = f"&cursor={page['next']}"
    assert len(found) == 23
    assert set(found) == {ids(line) for line in sent}


def test_filters(server, lines):
    """Each by itself; what is not known is refused."""
    good = lines.call(dataset="a", requested_model="x", experiment="e", assigned="candidate")
    other = lines.call(dataset="b")
    server.send(good, other, lines.feedback(ids(good), value=1.0))
    for query in ("dataset=a", "model=x", "experiment=e", "variant=candidate", "feedback=success"):
        page = server.ask("GET", f"/v1/calls?{query}", "read").json()
        assert [call["id"] for call in page["calls"]] == [ids(good)]
    for query in (
        "nothing=1",
        "limit=501",
        "limit=1&limit=2",
        "variant=x",
        "since=x",
        "cursor=1",
        "dataset=%00",
        "errors=7",
    ):
        answer = server.ask("GET", f"/v1/calls?{query}", "read")
        assert (answer.status_code, answer.json()["error"]["code"] in {"bad_query", "bad_text"}) == (400, True), query


def test_a_call_by_its_own_and_its_providers_id(server, lines):
    """With its bodies and what was said of it."""
    line = lines.call(provider_id="chatcmpl-9/1 ä")
    server.send(line, lines.feedback(ids(line), label="failure", comment="no"))
    for name in (ids(line), "chatcmpl-9%2F1%20%C3%A4"):
        answer = server.ask("GET", f"/v1/calls/{name}", "read")
        if "%2F" in name and answer.status_code == 404:
            pytest.fail("an id with a slash in it cannot be asked for")
        call = answer.json()
        assert call["request"] == {"model": "m", "messages": []}
        assert [one["comment"] for one in call["said"]] == ["no"]
