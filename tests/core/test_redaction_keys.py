"""The paths of members whose values go: their grammar, and what they match."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from logos_shift_openai.core import key_paths
from logos_shift_openai.core.json_text import Place
from logos_shift_openai.core.key_paths import ANY, ANY_DEPTH, Wild
from logos_shift_openai.core.redaction import Redaction, clean

ANYWHERE = Wild(ANY_DEPTH)


@pytest.mark.parametrize(
    ("path", "steps"),
    [
        ("password", (ANYWHERE, "password")),
        ("metadata", (ANYWHERE, "metadata")),
        ("metadata.ssn", ("metadata", "ssn")),
        ("user.ssn", (ANYWHERE, "user", "ssn")),
        ("**.password", (ANYWHERE, "password")),
        ("request.messages[*].content", ("request", "messages", Wild(ANY), "content")),
        ("request.messages[12]", ("request", "messages", 12)),
        ("response.**.id", ("response", ANYWHERE, "id")),
        ("feedback.*.x", ("feedback", Wild(ANY), "x")),
        ('error["a.b"]["\\u00e9"].c', ("error", "a.b", "é", "c")),
        ('["*"]', (ANYWHERE, "*")),
        ("api-key 2", (ANYWHERE, "api-key 2")),
    ],
)
def test_paths(path: str, steps: key_paths.Steps):
    """Names, indexes, wild steps; what does not begin with a root begins anywhere."""
    parsed = key_paths.parse(path)
    assert parsed == steps
    assert [type(step) for step in parsed] == [type(step) for step in steps]


@pytest.mark.parametrize(
    "path",
    [
        "",
        ".",
        "a.",
        ".a",
        "a..b",
        "a[",
        "a[]",
        "a[-1]",
        "a.[0]",
        "a]",
        "a*",
        "*",
        "**",
        "*.**",
        "a[x]",
        'a["x]',
        "'a'",
        "a b.c*",
    ],
)
def test_what_is_no_path_is_refused(path: str):
    """The message gives the path back."""
    with pytest.raises(ValueError, match=re.escape(repr(path))):
        key_paths.parse(path)


STEPS = st.sampled_from(["a", "b", "request", 0, 1, Wild(ANY), ANYWHERE])
PATHS = st.lists(STEPS, min_size=1, max_size=5).filter(lambda path: any(not isinstance(step, Wild) for step in path))
BODIES = st.recursive(
    st.integers(0, 3),
    lambda below: (
        st.lists(below, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b", "request", "c"]), below, max_size=3)
        | st.dictionaries(st.sampled_from(["a", "b"]), below, max_size=2).map(json.dumps)
    ),
    max_leaves=12,
)


def written(steps: list[str | int]) -> str:
    return "".join(f"[{step}]" if isinstance(step, int) else f".{step}" for step in steps).lstrip(".")


def naive(value: Any, place: str, pattern: re.Pattern[str]) -> Any:
    """Match whole paths by a regular expression, one member at a time."""
    if pattern.fullmatch(place):
        return "[redacted:key]"
    if isinstance(value, dict):
        return {key: naive(member, f"{place}/{key}", pattern) for key, member in value.items()}
    if isinstance(value, list):
        return [naive(item, f"{place}/{index}", pattern) for index, item in enumerate(value)]
    if isinstance(value, str) and value[:1] == "{":
        return naive_text(value, place, pattern)
    return value


def naive_text(text: str, place: str, pattern: re.Pattern[str]) -> str:
    inner = json.loads(text)
    kept = naive(inner, place, pattern)
    return text if kept == inner else json.dumps(kept, separators=(",", ":"))


def as_regex(steps: key_paths.Steps) -> re.Pattern[str]:
    parts = []
    for step in steps:
        if isinstance(step, Wild):
            parts.append("(?:/[^/]+)*" if step == ANY_DEPTH else "/[^/]+")
        else:
            parts.append(f"/{step}")
    return re.compile("".join(parts))


@settings(max_examples=400, deadline=None)
@given(PATHS, BODIES)
def test_what_paths_match(steps: list[str | int], body: Any):
    """Paths take out the very members that a matcher of whole paths takes out, also in JSON in a text."""
    if isinstance(steps[0], int):
        steps = ["a", *steps]
    path = written(steps)
    cleaned = clean(json.dumps(body).encode(), root="request", redaction=Redaction.build((), (path,)), limit=None)
    assert json.loads(cleaned.body) == naive(body, "/request", as_regex(key_paths.parse(path)))


def test_places_are_written_as_paths():
    """The place of a value reads like the path that names it, odd names in quotes, long ones cut."""
    place = Place("content", Place(0, Place("messages", Place("request"))))
    assert str(place) == "request.messages[0].content"
    assert str(Place("a.b", Place("é", Place("request")))) == 'request["\\u00e9"]["a.b"]'
    assert key_paths.parse('request["\\u00e9"]["a.b"]') == ("request", "é", "a.b")
    assert len(str(Place("x" * 1000, Place("request")))) < 150
