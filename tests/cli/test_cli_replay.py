"""`logos-shift replay`: against a small server of the same API, by real HTTP on loopback."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.cli.provider import Pace

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

CANDIDATE = ("replay", "--model", "tiny", "--provider", "lab")


class Answering(ThreadingHTTPServer):
    """A provider: answers the last message by a table, remembers what it was asked, judges as it is told."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.asked: list[dict[str, Any]] = []
        self.table: dict[str, Any] = {}
        self.judge: Callable[[dict[str, Any]], Any] = lambda _shown: {"better": "tie"}
        self.status: dict[str, int] = {}
        self.schemas = True
        self.hold: threading.Event | None = None
        self.reached = threading.Event()

    @property
    def questions(self) -> list[str]:
        return [one["messages"][-1]["content"] for one in self.asked if one["model"] == "tiny"]

    def answer(self, body: dict[str, Any]) -> tuple[int, Any]:
        question = body["messages"][-1]["content"]
        if body["model"] == "judge":
            if "response_format" in body and not self.schemas:
                return 400, {"error": {"message": "response_format is not known here"}}
            said = self.judge(json.loads(question))
            return self.status.get("judge", 200), _completion(said if isinstance(said, str) else json.dumps(said))
        said = self.table.get(question, "yes") if body["model"] != "big" else "yes"
        return self.status.get(question, 200), _completion(said)


class _Handler(BaseHTTPRequestHandler):
    server: Answering

    def do_POST(self) -> None:
        body = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(body)
        status, answer = self.server.answer(body)
        if self.server.hold is not None and len(self.server.asked) == 3:
            self.server.reached.set()
            self.server.hold.wait(90)
        text = json.dumps(answer).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(text)))
        self.send_header("x-should-retry", "false")
        self.end_headers()
        self.wfile.write(text)

    def log_message(self, *_args: Any) -> None:
        pass


def _completion(text: str) -> dict[str, Any]:
    message = {"role": "assistant", "content": text}
    usage = {"prompt_tokens": 10, "completion_tokens": 2}
    return {"id": "c", "object": "chat.completion", "choices": [{"index": 0, "message": message}], "usage": usage}


@pytest.fixture
def lab(monkeypatch: pytest.MonkeyPatch) -> Iterator[Answering]:
    with Answering() as server:
        thread = threading.Thread(target=server.serve_forever, args=(0.02,))
        thread.start()
        monkeypatch.setenv("LOGOS_SHIFT_PROVIDER_LAB_BASE_URL", f"http://127.0.0.1:{server.server_port}/v1")
        yield server
        if server.hold is not None:
            server.hold.set()
        server.shutdown()
        thread.join()


@pytest.fixture
def logged(home: Any) -> Callable[..., list[str]]:
    """Log calls that a big model answered with yes; gives their ids, the latest last."""

    def log(*questions: str, answer: str = "yes", **more: Any) -> list[str]:
        lines = [
            home.call(
                request={"model": "big", "messages": [{"role": "user", "content": one}], "stream": True, "seed": 1},
                response=_completion(answer), requested_model=more.pop("requested_model", "big"), **more,
            )
            for one in questions
        ]  # fmt: skip
        home.spool(*lines)
        return [json.loads(line)["id"] for line in lines]

    return log


def config(home: Any, **more: Any) -> None:
    candidate = {"model": "tiny", "provider": "lab", "params": {"drop": ["seed"]}}
    one = {"key": "x", "match": {"model": "big"}, "candidate": candidate, "share": 0, "salt": "s", **more}
    (home.path / "config.json").write_text(json.dumps({"version": 1, "experiments": [one]}))


def test_a_replay_of_an_experiment(cli: Any, home: Any, lab: Answering, logged: Any) -> None:
    """The latest calls that it is about, by the candidate's parameters; agreement, what differs, and what it cost."""
    config(home)
    ids = logged("a", "b", "c", "d")
    logged("not asked", requested_model="another")
    lab.table["c"] = "no"
    ended = cli("replay", "x", "--limit", "3", "--price", "1000,5000", "--json")
    assert ended.code == 0, ended.err
    found = ended.json
    assert sorted(lab.questions) == ["b", "c", "d"]
    assert all(not {"stream", "seed"} & set(one) for one in lab.asked)
    assert found["asked"] == {"now": 3, "before": 0, "left_out": 0, "unanswered": 0}
    assert found["agreement"]["pairs"] == 3
    assert found["agreement"]["mean"] == pytest.approx(2 / 3)
    assert found["agreement"]["low"] < 2 / 3 < found["agreement"]["high"]
    assert (found["tokens"], found["cost"]) == ({"in": 30, "out": 6}, pytest.approx(0.06))
    (one,) = found["disagreements"]
    assert one["call"] == ids[2]
    assert (one["baseline"][0]["text"], one["candidate"][0]["text"]) == ("yes", "no")


def test_nothing_is_asked_twice_and_nothing_is_a_call(cli: Any, lab: Answering, logged: Any) -> None:
    """A second run reports the same without a request, a larger one asks for what is new, and `calls` show none of it."""
    logged("a", "b")
    first = cli(*CANDIDATE, "--json").json
    again = cli(*CANDIDATE, "--json").json
    assert again["asked"] == {"now": 0, "before": 2, "left_out": 0, "unanswered": 0}
    assert again["agreement"] == first["agreement"]
    logged("c")
    assert cli(*CANDIDATE, "--json").json["asked"]["now"] == 1
    assert len(lab.asked) == 3
    assert len(cli("calls", "list", "--json").out.splitlines()) == 3 or len(cli("calls", "list", "--json").json) == 3
    assert cli("replay", "--model", "other", "--provider", "lab", "--json").json["asked"]["now"] == 3


def test_what_is_shown(cli: Any, lab: Answering, logged: Any) -> None:
    """Figures in words, the disagreements, no bar where nobody looks, and nothing that speaks to the terminal."""
    logged("a", "b")
    lab.table["b"] = "no\x1b[31m"
    ended = cli(*CANDIDATE)
    shown = " ".join(ended.out.split())
    assert "tiny at lab" in shown
    assert "50.0% of 2 by json (95 %: " in shown
    assert "success can fall by at most" in shown
    assert "candidate no\\x1b[31m" in shown
    assert ended.err == ""
    assert cli("replay", "--model", "tiny", "--provider", "lab", "--limit", "0").code == 0


def test_calls_whose_request_is_not_whole_are_left_out(cli: Any, lab: Answering, logged: Any) -> None:
    """Cut ones, and such whose media were taken out; failed, half and the candidate's own ones are not even taken."""
    from logos_shift_openai.core.records import Attempt, CallError

    logged("cut", truncated=("request.messages[0]",))
    logged("media", media=({"path": "request", "bytes": 3},))
    logged("failed", error=CallError("X", 500))
    logged("half", complete=False)
    logged("own", assigned="candidate", served="candidate", attempts=(Attempt("candidate", "tiny", "lab", True, 1.0),))
    logged("sampled", bodies=False)
    found = cli(*CANDIDATE, "--json").json
    assert (found["calls"], found["asked"]["left_out"]) == (3, 3)
    assert found["left_out"] == {"truncated": 1, "media": 1, "sampled": 1}
    assert not lab.asked
    shown = " ".join(cli(*CANDIDATE).out.split())
    assert "3 left out" in shown
    assert "left out 1: its client kept no text of it" in shown


def test_calls_whose_text_is_past_its_time_are_left_out(cli: Any, home: Any, lab: Answering, logged: Any) -> None:
    """Retention of bodies alone has removed it; a replay says so and asks nothing."""
    logged("a", at=home.now - 3 * 86_400_000)
    assert cli("calls", "list").code == 0
    assert cli("store", "keep", "--body-days", "1").code == 0
    assert cli("store", "vacuum").code == 0
    found = cli(*CANDIDATE, "--json").json
    assert (found["calls"], found["left_out"], lab.asked) == (1, {"no_body": 1}, [])


def test_answers_are_redacted_before_they_are_kept(cli: Any, lab: Answering, logged: Any) -> None:
    """As the client does it."""
    logged("a")
    lab.table["a"] = "sk-proj-" + "Ab3" * 20
    assert "Ab3Ab3" not in cli(*CANDIDATE, "--json").out


def test_a_request_that_the_candidate_refuses_is_its_failure(cli: Any, lab: Answering, logged: Any) -> None:
    """It agrees with nothing, and is not asked again."""
    logged("a", "b")
    lab.status["b"] = 400
    for _ in range(2):
        found = cli(*CANDIDATE, "--json").json
        assert (found["agreement"]["mean"], found["agreement"]["failed"]) == (0.5, 1)
    assert len(lab.asked) == 2


@pytest.mark.parametrize("status", [401, 429, 503])
def test_a_provider_that_is_away_says_nothing_of_its_model(cli: Any, lab: Answering, logged: Any, status: int) -> None:
    """Nothing is kept, after five in a row it ends with what to do, and later it goes on."""
    logged(*"abcdefg")
    lab.status.update(dict.fromkeys("abcdefg", status))
    ended = cli(*CANDIDATE, "--json")
    assert ended.code == 1
    assert f"broken off: 5 requests in a row were not taken, the last with {status}" in ended.err
    assert ended.json["agreement"]["pairs"] == 0
    lab.status.clear()
    assert cli(*CANDIDATE, "--json").json["asked"] == {"now": 7, "before": 0, "left_out": 0, "unanswered": 0}


def test_ways_to_compare(cli: Any, home: Any, lab: Answering, logged: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The same answers, by other comparers, without asking again; a function of the user's own among them."""
    monkeypatch.chdir(home.path)
    (home.path / "own_ways.py").write_text(
        "def near(baseline, candidate):\n    return 0.5\n"
        "def far(baseline, candidate):\n    return 7\n"
        "def broken(baseline, candidate):\n    return baseline['nothing']\n"
        "nothing = 3\n"
    )
    logged("a")
    lab.table["a"] = "YES"
    means = {}
    for how in ("exact", "json", "text", "own_ways:near"):
        means[how] = cli(*CANDIDATE, "--compare", how, "--json").json["agreement"]["mean"]
    assert means == {"exact": 0, "json": 0, "text": 1, "own_ways:near": 0.5}
    assert len(lab.asked) == 1
    for how, said in {
        "fuzzy": "'fuzzy' is none of exact, json, text, fields, judge, nor a function as package.module:function",
        "own_ways:nothing": "own_ways:nothing is not a function",
        "own_ways:gone": "own_ways:gone could not be loaded: AttributeError",
        "no_such_module:f": "no_such_module:f could not be loaded: ModuleNotFoundError",
        "own_ways:far": "own_ways:far: a score is in 0..1, not 7",
        "own_ways:broken": "own_ways:broken raised KeyError",
    }.items():
        ended = cli(*CANDIDATE, "--compare", how)
        assert ended.code == 1
        assert said in ended.err


def judging(cli: Any, *more: str) -> Any:
    return cli(*CANDIDATE, "--compare", "judge", "--judge-model", "judge", "--judge-provider", "lab", "--json", *more)


def seen_as(shown: dict[str, Any], text: str) -> str:
    return "A" if shown["A"] == text else "B"


def test_a_judge_judges_the_disagreements(cli: Any, lab: Answering, logged: Any) -> None:
    """In both orders, blind, once; a win is 1, a tie a half; what agrees needs no judge, nor does a failure."""
    logged("same", "better", "worse", "alike", "refused")
    lab.table.update(better="good", worse="bad", alike="fine")
    lab.status["refused"] = 400

    def judge(shown: dict[str, Any]) -> Any:
        if "good" in shown.values():
            return {"better": seen_as(shown, "good")}
        return {"better": seen_as(shown, "yes")} if "bad" in shown.values() else "tie"

    lab.judge = judge
    found = judging(cli).json["judge"]
    counts = {name: found[name] for name in ("judged", "wins", "ties", "losses", "not_judged", "score")}
    assert counts == {"judged": 3, "wins": 1, "ties": 1, "losses": 1, "not_judged": 0, "score": 0.5}
    asked = [one for one in lab.asked if one["model"] == "judge"]
    assert len(asked) == 6
    assert found["tokens"] == {"in": 60, "out": 12}
    assert not any(word in json.dumps(one) for one in asked for word in ("candidate", "baseline", "tiny", "big"))
    assert judging(cli).json["judge"]["judged"] == 3
    assert len([one for one in lab.asked if one["model"] == "judge"]) == 6


def test_a_judge_who_contradicts_himself(cli: Any, lab: Answering, logged: Any) -> None:
    """One who always takes the first has seen a tie."""
    logged("a")
    lab.table["a"] = "no"
    lab.judge = lambda _shown: {"better": "A"}
    assert judging(cli).json["judge"]["ties"] == 1


@pytest.mark.parametrize("said", ["Both are fine.", {"better": "C"}, {"better": "A", "why": "x"}, {"worse": "A"}, "[]"])
def test_what_is_no_verdict_is_not_judged(cli: Any, lab: Answering, logged: Any, said: Any) -> None:
    """It is counted, and asked again the next time."""
    logged("a")
    lab.table["a"] = "no"
    lab.judge = lambda _shown: said
    found = judging(cli).json["judge"]
    assert (found["judged"], found["not_judged"], found["score"]) == (0, 1, None)
    lab.judge = lambda _shown: {"better": "tie"}
    assert judging(cli).json["judge"]["judged"] == 1


def test_a_judge_that_is_away(cli: Any, lab: Answering, logged: Any) -> None:
    """The rest of the report stands."""
    logged("a")
    lab.table["a"] = "no"
    lab.status["judge"] = 503
    ended = judging(cli)
    assert (ended.code, ended.json["judge"]["not_judged"], ended.json["agreement"]["mean"]) == (0, 1, 0)


def test_a_judge_whose_server_knows_no_schemas(cli: Any, lab: Answering, logged: Any) -> None:
    """The prompt says the form, too; it is found out once."""
    logged("a", "b")
    lab.table.update(a="no", b="no")
    lab.schemas = False
    assert judging(cli).json["judge"]["judged"] == 2
    assert len([one for one in lab.asked if one["model"] == "judge"]) == 5


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("replay",), "name an experiment"),
        (("replay", "x", "--model", "m"), "name an experiment"),
        (("replay", "x", "--compare", "judge"), "needs --judge-model"),
        (("replay", "x", "--judge-model", "m"), "belong together"),
        (("replay", "x", "--price", "1"), "not two numbers"),
        (("replay", "x"), "there is no experiment x (there is: none)"),
        (("replay", "--model", "m"), "the candidate has no provider"),
    ],
)
def test_bad_commands(cli: Any, arguments: tuple[str, ...], said: str) -> None:
    """Each says what is wrong."""
    ended = cli(*arguments)
    assert ended.code in {1, 2}
    assert said in " ".join(ended.err.replace("│", " ").split())


def test_an_unknown_provider(cli: Any, logged: Any) -> None:
    """The message says how it is made known; a key is never asked for on the command line."""
    logged("a")
    ended = cli("replay", "--model", "m", "--provider", "nobody")
    assert "set LOGOS_SHIFT_PROVIDER_NOBODY_BASE_URL" in ended.err


@pytest.mark.parametrize(("sign", "code"), [(signal.SIGINT, 130), (signal.SIGKILL, -signal.SIGKILL)])
def test_stopped_and_begun_again(
    process: Any, cli: Any, lab: Answering, logged: Any, sign: signal.Signals, code: int
) -> None:
    """What was answered is kept; only the one under way is asked again."""
    logged(*"abcde")
    lab.hold = threading.Event()
    running = process(*CANDIDATE)
    assert lab.reached.wait(90)
    running.send_signal(sign)
    lab.hold.set()
    out, err = running.communicate(timeout=90)
    assert running.returncode == code
    if sign == signal.SIGINT:
        assert (out, err) == ("", "logos-shift: stopped; what was answered is kept, and the same command goes on\n")
    found = cli(*CANDIDATE, "--json").json
    assert found["asked"]["before"] in {2, 3}  # the third's answer may have come before the signal
    assert found["asked"]["now"] + found["asked"]["before"] == 5
    counts = [lab.questions.count(one) for one in "edcba"]
    assert counts in ([1, 1, 2, 1, 1], [1, 1, 1, 1, 1])


def test_a_bar_on_a_terminal(lab: Answering, logged: Any, home: Any) -> None:
    """It is there while it works, on stderr."""
    logged("a", "b")
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "logos_shift_openai.cli", "--home", str(home.path), *CANDIDATE]
    running = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=theirs, env={**os.environ, "TERM": "xterm"})
    os.close(theirs)
    seen = b""
    while True:
        try:
            part = os.read(ours, 4_096)
        except OSError:
            break
        if not part:
            break
        seen += part
    out, _ = running.communicate(timeout=90)
    os.close(ours)
    assert b"asking" in seen
    assert b"agreement" in out


def test_the_pace() -> None:
    """Starts are as far apart as was asked for, and time lost is not made up for."""
    now, rests = [0.0], []

    def rest(seconds: float) -> None:
        rests.append(seconds)
        now[0] += seconds

    pace = Pace(30, clock=lambda: now[0], rest=rest)
    for took in (0.5, 0.5, 7.0, 0.0):
        pace.wait()
        now[0] += took
    pace.wait()
    assert rests == [1.5, 1.5, 2.0]


def test_a_replay_of_what_an_edition_holds_out(cli: Any, home: Any, lab: Answering, logged: Any) -> None:
    """Those calls and no others, as they were asked; later calls change nothing."""
    ids = logged(*(f"q{number}" for number in range(30)), dataset="sales")
    edition = cli("dataset", "build", "sales", "--heldout", "30", "--json").json
    held_out = edition["manifest"]["counts"]["heldout"]
    assert 0 < held_out < 30
    logged("later", dataset="sales")
    found = cli(*CANDIDATE, "--edition", edition["id"][:8], "--json").json
    assert found["calls"] == found["asked"]["now"] == held_out
    rows = (home.path / "editions" / edition["id"] / "heldout.jsonl").read_text().splitlines()
    assert lab.questions == [json.loads(line)["messages"][0]["content"] for line in rows]
    assert {ids[int(one[1:])] for one in lab.questions} <= set(ids)
    assert cli(*CANDIDATE, "--edition", edition["id"], "--limit", "1", "--json").json["calls"] == 1
    assert cli(*CANDIDATE, "--edition", edition["id"], "--dataset", "sales").code == 2
    unknown = cli(*CANDIDATE, "--edition", "nix")
    assert (unknown.code, "no edition" in unknown.err) == (1, True)
    (home.path / "editions" / edition["id"] / "heldout-asked.jsonl").unlink()
    old = cli(*CANDIDATE, "--edition", edition["id"])
    assert (old.code, "build it again" in old.err) == (1, True)
