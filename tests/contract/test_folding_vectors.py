"""The streams under `folding/` and the unstreamed answers they must fold to; another language could run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logos_shift_openai.core.folding import fold

VECTORS = sorted((Path(__file__).parent / "folding").glob("*.json"))


def load(path: Path) -> dict[str, Any]:
    return json.loads(path.read_text(encoding="utf-8"))


def sse(vector: dict[str, Any], *, end: str = "\n", ascii_only: bool = False) -> bytes:
    lines: list[str] = []
    for event in vector["events"]:
        data = event if isinstance(event, str) else json.dumps(event, ensure_ascii=ascii_only)
        name = event.get("type") if vector["endpoint"] == "responses" else None
        lines += [*([f"event: {name}"] if name else []), f"data: {data}", ""]
    if vector["done"]:
        lines += ["data: [DONE]", ""]
    return "".join(line + end for line in lines).encode()


@pytest.fixture(params=VECTORS, ids=lambda path: path.stem)
def vector(request: pytest.FixtureRequest) -> dict[str, Any]:
    return load(request.param)


def test_there_are_vectors_of_every_endpoint():
    """A moved folder would otherwise pass in silence."""
    assert {load(path)["endpoint"] for path in VECTORS} == {"chat.completions", "completions", "responses"}
    assert len(VECTORS) > 40


@pytest.mark.parametrize(("end", "ascii_only"), [("\n", False), ("\r\n", True), ("\r", False)])
def test_a_stream_folds_to_its_unstreamed_answer(vector: dict[str, Any], end: str, ascii_only: bool):
    """The folded answer is the unstreamed one, whatever ends its lines and escapes its letters."""
    folded = fold(vector["endpoint"], sse(vector, end=end, ascii_only=ascii_only))
    assert folded.body == vector["answer"]
    assert folded.complete is vector["complete"]
    assert folded.error == vector["error"]
    assert folded.provider_id == vector["answer"]["id"]
    assert folded.events == len(vector["events"]) or folded.error is not None


def test_a_stream_cut_anywhere_is_never_taken_for_whole(vector: dict[str, Any]):
    """Cut at any byte before its end it folds without a complaint, grows only, and is whole only once it has ended."""
    raw = sse(vector)
    before = 0
    whole_from = next(
        (cut for cut in range(len(raw) + 1) if fold(vector["endpoint"], raw[:cut]).complete), len(raw) + 1
    )
    ending = len(sse({**vector, "events": vector["events"][: _end(vector)], "done": False}))
    assert whole_from >= ending
    for cut in range(0, len(raw), 7):
        folded = fold(vector["endpoint"], raw[:cut])
        assert folded.events >= before
        before = folded.events
        json.dumps(folded.body)


@pytest.mark.parametrize("step", [1, 2])
def test_a_stream_left_early_holds_what_was_taken(vector: dict[str, Any], step: int):
    """What the caller did not take is not in the answer, save its usage, though all of it had arrived."""
    raw = sse(vector)
    for taken in range(0, len(vector["events"]), step):
        folded = fold(vector["endpoint"], raw, taken)
        alone = fold(vector["endpoint"], sse({**vector, "events": vector["events"][:taken], "done": False}))
        assert _without_usage(folded.body) == _without_usage(alone.body)
        assert (folded.complete, folded.error, folded.events) == (alone.complete, alone.error, alone.events)


def _end(vector: dict[str, Any]) -> int:
    """Number of events after which the answer may be whole: all choices ended, or the terminal event."""
    if not vector["complete"]:
        return len(vector["events"]) + 1
    seen: dict[int, bool] = {}
    for number, event in enumerate(vector["events"], 1):
        if event.get("type") in ("response.completed", "response.incomplete"):
            return number
        for choice in event.get("choices", ()):
            index = choice.get("index", 0)
            seen[index] = seen.get(index, False) or choice.get("finish_reason") is not None
        if seen and all(seen.values()) and max(seen) == len(seen) - 1:
            return number
    raise AssertionError("the vector says complete and has no end")


def _without_usage(body: dict[str, Any] | None) -> dict[str, Any] | None:
    return None if body is None else {key: value for key, value in body.items() if key != "usage"}
