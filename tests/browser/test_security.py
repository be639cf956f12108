"""The pages against those who would misuse them: stored markup, foreign pages, stolen cookies, guessed keys."""

from __future__ import annotations

import json
import re
import threading
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
import requests
from served import ids
from sqlalchemy import insert, update

from logos_shift_openai.core.autopilot_policy import autopilot_from
from logos_shift_openai.core.held_out import Rules
from logos_shift_openai.core.records import Attempt, CallError
from logos_shift_openai.server.autopilot.keeping import find_autopilot, keep, set_policy, tell
from logos_shift_openai.server.dashboard.pages import CSP, PAGES
from logos_shift_openai.server.evaluation.keeping import Answered, keep_answers, note, open_evaluation
from logos_shift_openai.server.notifications.outbox import notify
from logos_shift_openai.server.notifications.rules import Event
from logos_shift_openai.server.store.schema import decisions, deliveries, editions, tuning_jobs
from logos_shift_openai.server.tuners.jobs import open_job
from logos_shift_openai.server.tuners.protocol import Settings
from logos_shift_openai.server.tuners.step import workshop

TAKES = 30
HOSTILE = (
    "<script>window.hacked=1</script>",
    "<img src=x onerror=window.hacked=1>",
    "\"><svg onload=window.hacked=1><a href='javascript:window.hacked=1'>go</a>",
    "javascript:window.hacked=1//",
    "' autofocus onfocus=window.hacked=1 x='",
    "</title></textarea></style><iframe srcdoc='<script>top.hacked=1</script>'>",
    "{{constructor.constructor('window.hacked=1')()}}${window.hacked=1}",
    "\u202e<b>turned</b>",
)


def poison(server, lines):
    """Put the texts into every field that a record, a feedback, a key, a price or an experiment has."""
    sent = []
    for number, bad in enumerate(HOSTILE):
        tool = {"type": "function", "function": {"name": bad, "description": bad, "parameters": {bad: bad}}}
        called = {"id": bad, "type": "function", "function": {"name": bad, "arguments": json.dumps({bad: bad})}}
        request = {
            "model": bad,
            bad: bad,
            "tools": [tool],
            "messages": [
                {"role": bad, "name": bad, "content": bad},
                {"role": "system", "content": [{"type": bad, bad: bad}, {"type": "text", "text": bad}, bad, 7, None]},
                {"role": "assistant", "content": bad, "reasoning": bad, "tool_calls": [called, bad]},
                {"role": "tool", "tool_call_id": bad, "content": json.dumps([bad])},
                bad,
            ],
        }
        message = {"role": bad, "content": bad, "refusal": bad, "tool_calls": [called]}
        response = {"choices": [{"message": message, "finish_reason": bad}, bad], bad: bad}
        line = lines.call(
            id=f"{bad} {number}",
            dataset=bad,
            name=bad,
            parent=bad,
            user_id=bad,
            conversation_id=bad,
            metadata={bad: {bad: [bad]}},
            requested_model=bad,
            experiment=bad,
            assigned="candidate",
            served="baseline",
            share=100,
            why=bad,
            provider_id=f"provider {bad}",
            sdk=bad,
            request=json.dumps(request).encode(),
            response=json.dumps(response).encode(),
            truncated=[bad],
            error=CallError(type=bad, code=bad, message=bad) if number % 2 else None,
        )
        sent.append(line)
        sent.append(lines.feedback(f"{bad} {number}", value=0.5, comment=bad, correction={bad: bad}, by=bad))
        sent.append(lines.feedback(f"{bad} {number}", label="success", correction=bad))
        key = server.ask("POST", "/v1/keys", json={"scope": "ingest", "label": bad})
        assert key.status_code == 201
    prices = [{"model": bad, "input": 1, "output": 1} for bad in HOSTILE]
    assert server.ask("PUT", "/v1/prices", json={"prices": prices}).status_code == 200
    broken = [json.dumps({"v": 1, "kind": "call", "id": "x", bad: bad}).encode() + b"\n" for bad in HOSTILE]
    answer = server.send(*sent, b'{"kind": "<img src=x onerror=window.hacked=1>"}\n', *broken)
    assert answer.json()["new"] == len(sent), answer.text
    for number, bad in enumerate(HOSTILE):
        plan = {
            "key": f"e{number}",
            "models": [f"m{number}"],
            "candidate": bad,
            "dataset": f"{bad}{number}",
            "share": 1,
        }
        made = server.ask("POST", "/v1/experiments", json=plan)
        assert made.ok, made.text
    return [ids(line) for line in sent[::3]]


def poison_work(server, lines, calls):
    """Put them into rollouts, shadows, editions, tuning jobs and notifications, past whatever the API would refuse."""
    bad = HOSTILE[1]
    plan = {"models": [bad], "candidate": f"small {bad}", "provider": "lab", "dataset": f"of rollouts {bad}"}
    policy = {"shadow_pairs": 1}
    assert server.ask("POST", "/v1/rollouts/bad", json={"plan": plan, "policy": policy}).ok
    shadows = []
    for number, (call, text) in enumerate(zip(calls, HOSTILE, strict=True)):
        answer = json.dumps({"choices": [{"message": {"role": text, "content": text}, "finish_reason": text}]}).encode()
        attempts = [Attempt(variant="candidate", model=text, provider=text, ok=True, duration_ms=1.0)]
        error = CallError(type=text, code=text, message=text) if number % 2 else None
        shadow = {"shadow_of": call, "experiment": "bad", "served": "candidate", "request": b"null"}
        shadows.append(lines.call(**shadow, attempts=attempts, response=answer, error=error))
    assert server.send(*shadows).json()["new"] == len(shadows)
    told = {**dict.fromkeys(("dialect", "kind", "dataset"), bad), "choice": {bad: bad}, "warnings": [bad]}
    counts = {"read": 1, "train": 1, "heldout": 0, "corrected": 0, "left_out": {bad: 1}, "redacted": {bad: 1}}
    manifest = {**told, "counts": counts, "estimate": {"tokens": 1}}
    now = server.service.now()
    with server.store.writing() as connection:
        for number, text in enumerate(HOSTILE):
            edition = {
                "id": f"{number:020}",
                "dataset": text,
                "at": now,
                "place": text,
                "manifest": json.dumps(manifest),
            }
            connection.execute(insert(editions).values(edition))
            for name in ("action", "event"):
                values = {"experiment": "bad", "at": now, "action": "hold", "share": 0, "document": '{"look": null}'}
                connection.execute(insert(decisions).values({**values, "event": text, "why": f"{name} {text}"}))
            notify(connection, Event(f"evt_{number}", text, now, text, text, text))
            connection.execute(insert(deliveries).values(
                notification=f"evt_{number}", channel=text, state="given_up", tries=1, due=now, claimed=0, fault=text
            ))  # fmt: skip
    jobs = []
    for text in HOSTILE:
        job, _ = open_job(server.store, text[:32], text, Settings(text, text, suffix=text), now, now + 1)
        candidate = {"model": text, "provider": text, text: text}
        points = json.dumps([{"step": 1, "train_loss": 1, text: 1}, {"step": 2, "train_loss": 1}])
        said = {"said": text, "next_step": text, "candidate": json.dumps(candidate), "points": points}
        with server.store.writing() as connection:
            change = update(tuning_jobs).where(tuning_jobs.c.id == job.id)
            connection.execute(change.values(**said, state="unserved", fraction=0.5))
        jobs.append(job.id)
        poison_held_out(server, text, candidate)
    paths = ["/experiments", "/experiments/bad", "/experiments/bad?pairs=all", "/datasets"]
    paths += [f"/datasets/{quoted(text)}?answers=any" for text in HOSTILE]
    poison_autopilots(server)
    paths += ["/refused", *(f"/autopilot/{quoted(text)}" for text in HOSTILE)]
    return [*paths, "/tuning", *(f"/tuning/{one}?answers=all" for one in jobs)]


def poison_held_out(server, text, candidate):
    """Put a text into an edition's questions and answers, into what a candidate answered, and into its report."""
    name = f"bad{HOSTILE.index(text)}"
    folder = server.home / "editions" / name
    folder.mkdir(parents=True)
    messages = [{"role": text, "content": text}, {"role": "user", "content": [{"type": text, "text": text}]}]
    line = {"messages": [*messages, {"role": "assistant", "content": text}], "tools": [{"function": {"name": text}}]}
    (folder / "heldout.jsonl").write_text(f"{json.dumps(line)}\n" * 3, encoding="utf-8")
    (folder / "train.jsonl").write_text("", encoding="utf-8")
    (folder / "manifest.json").write_text("{}", encoding="utf-8")
    server.service.shop = workshop(server.store, server.home, "test", server.service.now)
    answer = {"message": {"role": text, "content": text, "refusal": text}, "finish_reason": text}
    with server.store.writing() as connection:
        one = open_evaluation(connection, name, candidate, Rules(), server.service.now())
        said = [Answered(1, answer, None, None, 1, 1), Answered(2, None, None, text, 1, 1)]
        keep_answers(connection, one.id, said)
        answers = [{"answer": f"{text} {number}", "rows": 1, "agreement": 0.5, "judged": True} for number in range(12)]
        report = {"agreement": 0.5, "low": 0, "high": 1, "valid": 0.5, "rows": 2, "held_out": 3, "failed": 1}
        told = {**report, "cost": None, "ended_early": text, "answers": answers}
        note(connection, one.id, server.service.now(), state="failed", said=text, report=told)


def poison_autopilots(server):
    """Put the texts into the policies, states, words and steps of autopilots."""
    now = server.service.now()
    for text in HOSTILE:
        policy = autopilot_from({"models": [text], "base": text, "settings": {"suffix": text}})
        with server.store.writing() as connection:
            one = set_policy(connection, text, policy, now)
            state = replace(one.state, edition=text, job=text, candidate={"model": text}, evaluation=text,
                            experiment=text, asked=text[:32], round=1)  # fmt: skip
            keep(connection, one, state, text, now)
            tell(connection, find_autopilot(connection, text), state, text[:32], text, {text: text}, now)


def test_stored_markup_is_shown_as_text_everywhere(server, visit, lines):
    """It never becomes an element, and the policy had nothing to stop: no complaint of the browser."""
    calls = poison(server, lines)
    work = poison_work(server, lines, calls)
    visitor = visit(server).log_in()
    paths = [
        "/",
        "/calls",
        "/calls?text=hacked",
        "/calls?errors=true",
        "/settings",
        f"/calls?dataset={quoted(HOSTILE[1])}",
    ]
    paths += [*(f"/calls/{quoted(one)}" for one in calls), *work]
    for path in paths:
        page = visitor.go(path)
        page.evaluate("document.querySelectorAll('main details').forEach(one => { one.open = true; })")
        if path == "/":
            page.locator("main").get_by_text(HOSTILE[1], exact=True).first.wait_for()
        assert page.evaluate("window.hacked") is None, path
        inside = "main :is(script, iframe, img, svg, b, [onerror], [onload], [onfocus], [href^='javascript'])"
        assert page.locator(inside).count() == 0, path
        assert page.locator("main a:not([href^='/'])").count() == 0, path
    assert visitor.complaints == []
    text = visitor.go(f"/calls/{quoted(calls[7])}").locator("main").inner_text()
    assert "\u202e" not in text
    assert "[U+202E]<b>turned</b>" in text


def quoted(text):
    return requests.utils.quote(text, safe="")


def test_an_address_that_was_sent_around_leads_nowhere_else(server, visit):
    """After the login to a page of this server, whatever `next` says."""
    for wanted in ("https://evil.test/", "//evil.test", "/\\evil.test", "javascript:window.hacked=1", "/\t/evil.test"):
        visitor = visit(server)
        visitor.page.goto(f"{server.url}/login?next={quoted(wanted)}")
        visitor.settled()
        visitor.page.fill("input[name=key]", server.keys["read"])
        visitor.page.click("button.main")
        visitor.page.wait_for_url(lambda url: "/login" not in url)
        assert visitor.page.url.startswith(f"{server.url}/")
        visitor.settled()


class Foreign(BaseHTTPRequestHandler):
    """A page of another origin, with no policy of its own."""

    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Type", "text/html")
        self.end_headers()
        self.wfile.write(b"<!doctype html><title>foreign</title>")

    def log_message(self, *_):
        pass


@pytest.fixture
def foreign():
    """Serve it on another port of this machine, which browsers count as the same site."""
    server = ThreadingHTTPServer(("127.0.0.1", 0), Foreign)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_page_of_another_origin_changes_and_reads_nothing(server, visit, foreign):
    """Although the browser sends it the cookie, by script and by form; the server counts what it refused."""
    visitor = visit(server).log_in()
    before = [one["id"] for one in server.ask("GET", "/v1/keys").json()["keys"]]
    page = visitor.context.new_page()
    arrived = []
    visitor.context.on("response", lambda answer: arrived.append((answer.request.method, answer.status)))
    page.goto(foreign)
    simple = "{method: 'POST', credentials: 'include', mode: 'no-cors', body: '{\"scope\": \"admin\"}'}"
    page.evaluate(f"fetch('{server.url}/v1/keys', {simple}).catch(() => null)")
    marked = simple.replace("'no-cors'", "'cors', headers: {'X-Logos-Shift': '1', 'Content-Type': 'application/json'}")
    assert page.evaluate(f"fetch('{server.url}/v1/keys', {marked}).then(a => a.status, () => 'refused')") == "refused"
    read = f"fetch('{server.url}/v1/keys', {{credentials: 'include'}}).then(a => a.text(), () => 'refused')"
    assert page.evaluate(read) == "refused"
    page.set_content(f"<form method=post enctype=text/plain action='{server.url}/v1/keys'><input name=scope></form>")
    with page.expect_navigation():
        page.evaluate("document.forms[0].submit()")
    assert ("POST", 403) in arrived
    assert [one["id"] for one in server.ask("GET", "/v1/keys").json()["keys"]] == before


def session(server, key="admin", **headers):
    own = {"Origin": server.url, "X-Logos-Shift": "test", **headers}
    return server.ask("POST", "/v1/session", None, json={"key": server.keys.get(key, key)}, headers=own)


def cookie(answer):
    return answer.headers["Set-Cookie"].partition(";")[0]


@pytest.mark.parametrize(
    ("headers", "status"),
    [
        ({"Sec-Fetch-Site": "same-origin", "X-Logos-Shift": "1"}, 201),
        ({"Sec-Fetch-Site": "same-site", "X-Logos-Shift": "1"}, 403),
        ({"Sec-Fetch-Site": "cross-site", "X-Logos-Shift": "1"}, 403),
        ({"Sec-Fetch-Site": "none", "X-Logos-Shift": "1"}, 403),
        ({"Sec-Fetch-Site": "same-origin"}, 403),
        ({"Origin": "http://evil.test", "X-Logos-Shift": "1"}, 403),
        ({"Origin": "null", "X-Logos-Shift": "1"}, 403),
        ({"X-Logos-Shift": "1"}, 403),
    ],
)
def test_a_change_by_cookie_must_come_from_a_page_of_this_server(server, headers, status):
    """By what the browser says of its origin, and the header that only our pages send."""
    headers = {**headers, "Cookie": cookie(session(server))}
    answer = server.ask("POST", "/v1/keys", None, json={"scope": "read"}, headers=headers)
    assert answer.status_code == status
    assert server.ask("GET", "/v1/keys", None, headers={"Cookie": headers["Cookie"]}).status_code == 200


def test_the_cookie_is_for_this_server_alone(serve):
    """Out of reach of scripts and foreign sites, and, behind a proxy that ends TLS, of plain HTTP."""
    server = serve(trusted_proxies=("127.0.0.1",))
    plain = session(server).headers["Set-Cookie"]
    assert plain.startswith("logos_shift=")
    assert plain.split("; ")[1:] == ["Path=/", "Max-Age=43200", "HttpOnly", "SameSite=Strict"]
    origin = server.url.replace("http:", "https:")
    secure = session(server, Origin=origin, **{"X-Forwarded-Proto": "https"}).headers["Set-Cookie"]
    assert secure.startswith("__Host-logos_shift=")
    assert secure.endswith("; Secure")


def test_a_session_ends_by_hand_with_its_key_and_in_time(serve):
    """And its token stands nowhere in the store."""
    now = [1_764_000_000_000]
    server = serve(now=lambda: now[0])
    for end in ("logout", "revoked", "time"):
        key = server.ask("POST", "/v1/keys", json={"scope": "admin"}).json()
        begun = session(server, key["key"])
        held = {"Cookie": cookie(begun)}
        token = held["Cookie"].partition("=")[2]
        assert server.ask("GET", "/v1/session", None, headers=held).json()["scope"] == "admin"
        for path in (server.store.engine.url.database, server.store.engine.url.database + "-wal"):
            with open(path, "rb") as file:  # noqa: PTH123 - two names
                assert token.encode() not in file.read()
        if end == "logout":
            own = {"Origin": server.url, "X-Logos-Shift": "test", **held}
            assert "Max-Age=0" in server.ask("DELETE", "/v1/session", None, headers=own).headers["Set-Cookie"]
        elif end == "revoked":
            server.ask("DELETE", f"/v1/keys/{key['id']}")
        else:
            now[0] += 12 * 3_600_000
        assert server.ask("GET", "/v1/session", None, headers=held).status_code == 401, end


def test_who_may_log_in_and_how_often(server):
    """An ingest key may not; guesses run out, also of a good key's chances from that address."""
    assert session(server, "ingest").status_code == 403
    assert session(server, "read").json()["scope"] == "read"
    codes = [session(server, "ls_admin_000000000000_" + "0" * 64).status_code for _ in range(12)]
    assert set(codes) == {401, 429}
    assert codes[-1] == 429
    assert session(server).status_code == 429


def test_a_reader_may_look_and_change_nothing(server):
    """As their key may."""
    held = {"Cookie": cookie(session(server, "read")), "Origin": server.url, "X-Logos-Shift": "test"}
    assert server.ask("GET", "/v1/overview", None, headers=held).status_code == 200
    assert server.ask("POST", "/v1/keys", None, json={"scope": "admin"}, headers=held).status_code == 403
    assert server.ask("PUT", "/v1/prices", None, json={"prices": []}, headers=held).status_code == 403
    said = {"call_id": "c", "label": "success"}
    assert server.ask("POST", "/v1/feedback", None, json=said, headers=held).status_code == 403


def test_every_page_has_the_strict_policy(server):
    """And nothing inline for it to stop."""
    for page in PAGES:
        answer = server.ask("GET", re.sub(r"{\w+\+?}", "x", page.path), None)
        assert answer.headers["Content-Security-Policy"] == CSP
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert answer.headers["Referrer-Policy"] == "no-referrer"
        assert "<style" not in answer.text
        assert " style=" not in answer.text
        assert "<script>" not in answer.text


def test_a_server_without_the_dashboard_has_none_of_it(serve):
    """No page, no session."""
    server = serve(dashboard=False)
    assert server.ask("GET", "/", None).status_code == 404
    assert session(server).status_code == 404
