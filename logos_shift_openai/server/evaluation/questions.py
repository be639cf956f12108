"""The questions of an edition's held-out part, as requests, each with the answer that is held out.

A candidate is asked what the call asked: with its messages and tools, and with what stands in a file beside them, such
as a response format. An edition that has no such file is an old one, or somebody's own: what all calls that it was made
of asked is taken from the calls then, as far as they are still there; what only some of them asked is left out.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logos_shift_openai.server.calls import find_call
from logos_shift_openai.server.datasets.asked import KEPT, asked_in
from logos_shift_openai.server.datasets.files import ASKED, SOURCES
from logos_shift_openai.server.tuners.edition import EditionError, answer_of, examples

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from sqlalchemy import Connection

    from logos_shift_openai.server.tuners.edition import Edition

_LOOKED_AT: Final = 20


class Question(NamedTuple):
    """A held-out row.

    Args:
        row: Its line, from 1.
        body: The request, without a model.
        expected: The message that is held out.
    """

    row: int
    body: dict[str, Any]
    expected: dict[str, Any]

    @property
    def answer(self) -> str:
        """The answer that is held out, as text."""
        found = answer_of({"messages": [self.expected]})
        return found if isinstance(found, str) else json.dumps(found, sort_keys=True, ensure_ascii=False)


def questions(edition: Edition, besides: dict[str, Any], limit: int) -> Iterator[Question]:
    """Read the first held-out rows.

    Args:
        edition: Of chats.
        besides: Parameters that every request gets whose own are not kept.
        limit: So many at most.

    Raises:
        EditionError: a line is no chat with an answer.
    """
    own = _own(edition)
    for number, line in examples(edition.heldout):
        if number > limit:
            return
        if answer_of(line) is None:
            raise EditionError(f"heldout.jsonl, line {number}: no messages that end with an answer")
        *asked, expected = line["messages"]
        body: dict[str, Any] = {
            **(besides if own is None else next(own, {})),
            "messages": [_asked(one) for one in asked],
        }
        body.update({name: line[name] for name in ("tools", "parallel_tool_calls") if name in line})
        if "tools" not in body:
            body.pop("tool_choice", None)
        yield Question(number, body, expected)


def rows_of(edition: Edition) -> int:
    """Count the held-out rows."""
    with edition.heldout.open("rb") as file:
        return sum(1 for line in file if line.strip())


def asked_besides(connection: Connection, edition: Edition) -> dict[str, Any]:
    """Give the parameters that the calls of an edition agree on that does not keep each one's own."""
    if _own(edition) is not None:
        return {}
    found: dict[str, Any] | None = None
    for call_id in _sources(edition.train.parent / SOURCES):
        call = find_call(connection, call_id)
        request = None if call is None else call["request"]
        if not isinstance(request, dict):
            continue
        asked = {name: value for name, value in request.items() if name in KEPT}
        found = asked if found is None else {name: value for name, value in found.items() if asked.get(name) == value}
    return found or {}


def _own(edition: Edition) -> Iterator[dict[str, Any]] | None:
    """Give what each held-out call asked besides, row by row; None where the edition does not keep it."""
    path = edition.heldout.with_name(ASKED)
    return (one.asked for one in asked_in(path.read_bytes().splitlines())) if path.is_file() else None


def _sources(path: Path) -> Iterator[str]:
    if not path.is_file():
        return  # an edition that was split from somebody's own file
    with path.open(encoding="utf-8") as file:
        for number, line in enumerate(file):
            if number == _LOOKED_AT:
                return
            yield line.split("\t")[0].strip()


def _asked(message: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in message.items() if name != "weight"}
