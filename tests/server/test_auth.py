"""Who may do what: keys, scopes, revocation, rates, tokens, and a server without keys."""

from __future__ import annotations

import time

import pytest
import requests
from served import ids

from logos_shift_openai.core.feedback_tokens import mint
from logos_shift_openai.server.app import ENDPOINTS
from logos_shift_openai.server.serve import Address, ServeError, server_for
from logos_shift_openai.server.store.database import StoreError

CLOSED = [one for one in ENDPOINTS if one.scope is not None]
MAY = {"ingest": {"ingest"}, "read": {"read"}, "admin": {"ingest", "read", "admin"}}


def filled(path):
    return path.replace("{id}", "no-such-id").replace("{key}", "no-such-key")


@pytest.mark.parametrize("scope", ["ingest", "read", "admin"])
def test_each_scope_may_what_it_may_and_learns_nothing_else(server, scope):
    """A 403 is the same bytes whatever was asked for, and comes before the request is looked at."""
    refusals = set()
    for one in CLOSED:
        answer = server.ask(one.method, filled(one.path), scope, data=b"{", headers={"Content-Type": "nonsense"})
        if one.scope in MAY[scope]:
            assert answer.status_code not in {401, 403, 500}, (one, answer.text)
        else:
            assert answer.status_code == 403, one
            refusals.add(answer.content)
    assert len(refusals) == (scope != "admin")
    assert server.ask("GET", "/v1/keys").json()["keys"][-1]["revoked"] is None


@pytest.mark.parametrize("one", CLOSED, ids=lambda one: f"{one.method} {one.path}")
def test_without_a_good_key_nothing_is_served(serve, one):
    """None, another scheme, another server's, a changed scope, a changed secret."""
    server = serve(limits={"failures_per_second": 0})
    good = server.keys["ingest"]
    bad = [None, "Bearer", "Basic abc", "Bearer ls_admin_000000000000_" + "0" * 64, f"Bearer {good.replace('ingest', 'admin')}",
           f"Bearer {good[:-1]}{'0' if good[-1] != '0' else '1'}", f"Bearer {good}0"]  # fmt: skip
    for header in bad:
        headers = {} if header is None else {"Authorization": header}
        answer = requests.request(one.method, server.url + filled(one.path), headers=headers, timeout=90)
        assert (answer.status_code, answer.headers["WWW-Authenticate"]) == (401, "Bearer")


def test_the_secret_is_not_kept(server):
    """Only its hash is, and no answer has it."""
    secret = server.keys["admin"].rsplit("_", 1)[1]
    assert secret not in server.ask("GET", "/v1/keys").text
    server.service.store.engine.dispose()
    assert secret.encode() not in server.store.engine.url.database.encode()
    from pathlib import Path

    for path in Path(server.store.engine.url.database).parent.iterdir():
        assert secret.encode() not in path.read_bytes()


def test_a_key_is_made_used_listed_and_revoked(server, lines):
    """Here at once; elsewhere when what was looked up is no longer believed."""
    made = server.ask("POST", "/v1/keys", json={"scope": "ingest", "label": "shop"})
    assert made.status_code == 201
    key = made.json()
    assert server.send(lines.call(), key=key["key"]).status_code == 200
    revoked = server.ask("DELETE", f"/v1/keys/{key['id']}").json()
    assert revoked["revoked"] is not None
    assert server.send(lines.call(), key=key["key"]).status_code == 401
    assert server.ask("DELETE", f"/v1/keys/{key['id']}").json() == revoked
    assert server.ask("DELETE", "/v1/keys/nobody").status_code == 404
    assert [one["label"] for one in server.ask("GET", "/v1/keys").json()["keys"]].count("shop") == 1


def test_a_key_revoked_elsewhere_is_refused_within_five_seconds(serve, tmp_path):
    """Another process, or the command line, revokes it in the store."""
    server = serve()
    key_id = server.keys["read"].split("_")[2]
    assert server.ask("GET", "/v1/calls", "read").status_code == 200
    from logos_shift_openai.server.keys import revoke_key

    with server.store.writing() as connection:
        revoke_key(connection, key_id, 5)
    started = time.monotonic()
    asked = started
    while server.ask("GET", "/v1/calls", "read").status_code != 401:
        assert asked - started < 5  # when it was asked; the answer may take its time
        time.sleep(0.1)
        asked = time.monotonic()


def test_a_key_that_asks_too_often_is_told_when_to_come_back(serve):
    """Another key is not."""
    server = serve(limits={"requests_per_second": 0.5, "burst_seconds": 4})
    answers = [server.ask("GET", "/v1/keys") for _ in range(4)]
    assert [one.status_code for one in answers] == [200, 200, 429, 429]
    assert 1 <= int(answers[-1].headers["Retry-After"]) <= 3
    assert server.ask("GET", "/v1/calls", "read").status_code == 200


def test_an_address_that_guesses_keys_is_slowed_down(serve):
    """Good keys from the same address go on working."""
    server = serve(limits={"failures_per_second": 0.5, "burst_seconds": 4})
    codes = [server.ask("GET", "/v1/keys", "ls_admin_0_0").status_code for _ in range(4)]
    assert codes == [401, 401, 429, 429]
    assert server.ask("GET", "/v1/keys").status_code == 200


@pytest.mark.parametrize(("trusted", "codes"), [((), [401, 429]), (("127.0.0.1",), [401, 401])])
def test_forwarded_addresses_are_believed_of_trusted_proxies_alone(serve, trusted, codes):
    """Here: whose failures are counted."""
    server = serve(limits={"failures_per_second": 0.1, "burst_seconds": 1}, trusted_proxies=trusted)
    got = [
        server.ask("GET", "/v1/keys", None, headers={"X-Forwarded-For": f"198.51.100.{number}"}).status_code
        for number in range(2)
    ]
    assert got == codes


def test_every_answer_has_the_security_headers(server):
    """Refusals and what is not there, too."""
    for method, path in (("GET", "/health"), ("GET", "/v1/keys"), ("GET", "/nothing"), ("PATCH", "/v1/config")):
        answer = server.ask(method, path, None)
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "default-src 'none'" in answer.headers["Content-Security-Policy"]
        assert answer.headers["Cache-Control"]
        assert "Server" not in answer.headers
        if answer.status_code != 200:
            assert set(answer.json()["error"]) == {"code", "message", "where"}


def test_a_server_without_keys_serves_its_own_machine_alone(serve, tmp_path):
    """Not another address, not another name, not a page of another origin."""
    server = serve(no_auth=True)
    assert server.ask("GET", "/v1/keys").status_code == 200
    assert server.ask("GET", "/v1/keys", headers={"Host": "evil.test"}).status_code == 403
    assert server.ask("GET", "/v1/keys", headers={"Origin": "https://evil.test"}).status_code == 403
    assert server.ask("GET", "/v1/keys", headers={"Origin": server.url}).status_code == 200
    with pytest.raises(ServeError, match="--no-auth"):
        server_for(server.service, Address("0.0.0.0", 0))


def feedback(server, call_id, key=None, headers=None, **said):
    return server.ask("POST", "/v1/feedback", key, json={"call_id": call_id, **said}, headers=headers or {})


def test_feedback_with_a_key(server, lines):
    """Its id makes it one; a read key may not."""
    line = lines.call()
    server.send(line)
    first = feedback(server, ids(line), "ingest", value=0.25, id="f-1")
    assert first.json() == {"id": "f-1", "call_id": ids(line), "new": True}
    assert feedback(server, ids(line), "ingest", value=1, id="f-1").json()["new"] is False
    assert feedback(server, ids(line), "read", value=1).status_code == 403
    assert feedback(server, ids(line), value=1).status_code == 401
    assert server.calls()[0]["feedback"]["score"] == 0.25


@pytest.mark.parametrize("said", [{}, {"value": 2}, {"label": "fine"}, {"value": 1, "extra": 1}, {"comment": ""}])
def test_feedback_that_says_nothing_or_nonsense_is_refused(server, said):
    """With what and where."""
    answer = feedback(server, "c", "ingest", **said)
    assert answer.status_code == 400
    assert answer.json()["error"]["where"].startswith("$")


@pytest.mark.parametrize("how", ["header", "body"])
@pytest.mark.parametrize("made_by", ["server", "library"])
def test_a_token_lets_a_page_speak_of_one_call(server, lines, how, made_by):
    """Made by the server or by whoever holds a key; for that call alone, and nothing else."""
    one, other = lines.call(), lines.call()
    server.send(one, other)
    if made_by == "server":
        made = server.ask("POST", "/v1/feedback-tokens", "ingest", json={"call_id": ids(one), "seconds": 60})
        assert made.status_code == 201
        token = made.json()["token"]
    else:
        token = mint(server.keys["ingest"], ids(one), int(time.time()) + 60)

    def give(call_id):
        if how == "body":
            return feedback(server, call_id, token=token, label="success")
        return feedback(server, call_id, headers={"Authorization": f"Bearer {token}"}, label="success")

    assert give(ids(one)).status_code == 200
    assert give(ids(other)).status_code == 401
    assert server.ask("GET", "/v1/calls", token).status_code == 401
    assert {call["id"]: call["feedback"] is not None for call in server.calls()} == {ids(one): True, ids(other): False}


def test_a_token_ends_with_its_time_and_with_its_key(server):
    """Nor may it hold for longer than a week, or be signed with a key that only reads."""
    now = int(time.time())
    for key, expires, status in (
        ("ingest", now + 60, 200), ("ingest", now - 1, 401), ("ingest", now + 8 * 86_400, 401), ("read", now + 60, 403),
    ):  # fmt: skip
        token = mint(server.keys[key], "c", expires)
        assert feedback(server, "c", token=token, value=1).status_code == status
    token = mint(server.keys["ingest"], "c", now + 60)
    server.ask("DELETE", f"/v1/keys/{server.keys['ingest'].split('_')[2]}")
    assert feedback(server, "c", token=token, value=1).status_code == 401


def test_a_browser_may_give_feedback_from_the_origins_that_are_set(serve):
    """The preflight says so; other origins and other endpoints are not opened."""
    server = serve(cors_origins=["https://app.test"])
    asked = {"Access-Control-Request-Method": "POST"}
    yes = server.ask("OPTIONS", "/v1/feedback", None, headers={"Origin": "https://app.test", **asked})
    assert yes.status_code == 204
    assert yes.headers["Access-Control-Allow-Origin"] == "https://app.test"
    assert "authorization" in yes.headers["Access-Control-Allow-Headers"]
    no = server.ask("OPTIONS", "/v1/feedback", None, headers={"Origin": "https://evil.test", **asked})
    assert "Access-Control-Allow-Origin" not in no.headers
    answer = feedback(server, "c", headers={"Origin": "https://app.test"}, value=1)
    assert (answer.status_code, answer.headers["Access-Control-Allow-Origin"]) == (401, "https://app.test")
    assert server.ask("OPTIONS", "/v1/calls", None, headers={"Origin": "https://app.test"}).status_code == 405


def test_a_last_use_that_could_not_be_written_is_written_later(server):
    """It is put back, and a newer one is not lost for it."""
    key_id = server.keys["read"].split("_")[2]
    server.service.note_use(key_id)
    with server.store.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE api_keys RENAME TO hidden")
    with pytest.raises(StoreError):
        server.service._write_uses()
    with server.store.writing() as connection:
        connection.exec_driver_sql("ALTER TABLE hidden RENAME TO api_keys")
    server.service._write_uses()
    (key,) = [one for one in server.ask("GET", "/v1/keys").json()["keys"] if one["id"] == key_id]
    assert key["last_used"] is not None
