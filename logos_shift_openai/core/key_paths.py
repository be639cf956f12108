"""The paths that name members of a body whose values must not be kept, and the matching of a place with them.

    path  = step *( "." step / "[" index "]" )
    step  = name / "*" / "**"             name: any text without . [ ] * and quotes
    index = digits / "*" / JSON string    the string form names keys that hold such letters: metadata["a.b"]

`*` stands for one key or one index, `**` for any number of them, none included. A path that begins with a root
(`request`, `response`, `metadata`, `error`, `feedback`) or with `**` is read from the root on; any other one begins
anywhere, so the bare name `password` means every `password` at any depth. Names are compared letter for letter.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable

ROOTS = frozenset({"request", "response", "metadata", "error", "feedback"})
ANY = "*"
ANY_DEPTH = "**"


class Wild(str):
    """The step `*` or `**`, told from a key that is spelt so."""

    __slots__ = ()


Steps: TypeAlias = "tuple[str | int, ...]"
State: TypeAlias = "tuple[Steps, int]"
"""A path and how many of its steps are matched so far."""

_TOKEN = re.compile(
    r"""(?P<name>[^.\[\]*"']+)|(?P<wild>\*\*?)|\[(?:(?P<index>[0-9]{1,9})|(?P<any>\*)|(?P<quoted>"(?:[^"\\]|\\.)*"))\]"""
)


def parse(path: str) -> Steps:
    """Read a path.

    Args:
        path: the text, for instance `metadata.ssn`, `request.messages[*].content` or `password`.

    Returns:
        Its steps from the root on.

    Raises:
        ValueError: it is not a path; the message says where it stops being one.
    """
    steps: list[str | int] = []
    at = 0
    while at < len(path):
        if steps and path[at] == ".":
            at += 1
            if path[at : at + 1] == "[":
                raise ValueError(f"key path {path!r}: a name must follow the dot at {at}")
        elif steps and path[at] != "[":
            raise ValueError(f"key path {path!r}: expected '.' or '[' at {at + 1}")
        token = _TOKEN.match(path, at)
        if token is None:
            raise ValueError(f"key path {path!r}: expected a name, '*', '**' or '[…]' at {at + 1}")
        step = _step(token)
        if not (_is_any_depth(step) and steps and _is_any_depth(steps[-1])):
            steps.append(step)
        at = token.end()
    if not any(not isinstance(step, Wild) for step in steps):
        raise ValueError(f"key path {path!r} names no key")
    if path.endswith("."):
        raise ValueError(f"key path {path!r} ends with a dot")
    if steps[0] in ROOTS and len(steps) > 1 and not isinstance(steps[0], Wild):
        return tuple(steps)
    return tuple(steps) if _is_any_depth(steps[0]) else (Wild(ANY_DEPTH), *steps)


def _is_any_depth(step: str | int) -> bool:
    return isinstance(step, Wild) and step == ANY_DEPTH


def _step(token: re.Match[str]) -> str | int:
    kind, text = token.lastgroup, token.group(token.lastgroup or 0)
    if kind == "index":
        return int(text)
    if kind == "quoted":
        return str(json.loads(text))
    return Wild(text) if kind in ("wild", "any") else text.strip()


def hint(steps: Steps) -> str | None:
    """A name that any body in which `steps` match must hold, or None where no such name is known."""
    rest = steps[1:]
    if _is_any_depth(steps[0]) and rest[0] in ROOTS:
        rest = rest[1:]  # the root may be what it names, and its name is not in the body
    names = [step for step in rest if isinstance(step, str) and not isinstance(step, Wild)]
    return max(names, key=len, default=None)


def begin(paths: Iterable[Steps], root: str) -> tuple[list[State], bool]:
    """Match the root of a body.

    Args:
        paths: the paths to follow.
        root: the name of the root.

    Returns:
        The states to go on with below the root, and whether a path names the root as a whole.
    """
    return advance([(path, 0) for path in paths], root)


def advance(states: Iterable[State], key: str | int) -> tuple[list[State], bool]:
    """Go one key or index down.

    Args:
        states: the states of the container.
        key: the key of the member, or the index of the item.

    Returns:
        The states of the member, and whether a path ends there.
    """
    below: list[State] = []
    for path, done in states:
        _advance(path, done, key, below)
    return below, any(_ended(path, done) for path, done in below)


def _advance(path: Steps, done: int, key: str | int, below: list[State]) -> None:
    """Add what `path` may be at after `key`; a run of `**` may also stand for nothing."""
    while done < len(path):
        step = path[done]
        if not isinstance(step, Wild):
            if step == key:
                _add(below, (path, done + 1))
            return
        if step == ANY:
            _add(below, (path, done + 1))
            return
        _add(below, (path, done))
        done += 1


def _add(below: list[State], state: State) -> None:
    if state not in below:
        below.append(state)


def _ended(path: Steps, done: int) -> bool:
    return all(map(_is_any_depth, path[done:]))
