"""What a record says of a call beside its bodies, worked out of them on our own thread before anything is taken out.

Rule: it costs a call without a schema some microseconds, and whatever a body holds, it raises nothing and the record
goes on without what could not be worked out. The hash of the question is made with a key that no record holds, and with
the unit: it tells only whether the same unit asked the same again.
"""

from __future__ import annotations

import hashlib
import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from logos_shift_openai.core.checking import Checks, asks_for_json, check, is_plain
from logos_shift_openai.core.fingerprint import prompt_fingerprint, question_hash

if TYPE_CHECKING:
    from collections.abc import Mapping

    from logos_shift_openai.core.records import Unit

BYTES_MAX: Final = 2**20
"""Longer bodies are not read for this: reading holds the interpreter, and so the callers, for a few milliseconds."""

NOTED: Final = frozenset({"chat.completions", "responses", "completions"})
_PLAIN: Final[Mapping[str, bool]] = Checks(refused=False, cut=False).known()


class Noted(NamedTuple):
    """As the fields of a record that have these names."""

    checks: Mapping[str, bool] = {}
    fingerprint: str | None = None
    question: str | None = None


def key_of(secret: str | None) -> bytes:
    """Make the key of questions of the server's key, which all processes of a program share and no store holds."""
    return b"" if secret is None else hashlib.sha256(f"logos_shift question {secret}".encode()).digest()


def note(
    endpoint: str,
    request: bytes,
    response: bytes | None,
    *,
    failed: bool,
    complete: bool,
    unit: Unit | None,
    key: bytes,
) -> Noted:
    """Work out what is known of a call.

    Args:
        endpoint: Which one was called.
        request: The body as the caller asked for it, JSON.
        response: The answer in its unstreamed shape, JSON; None where there is none.
        failed: Whether the caller got an error.
        complete: Whether the answer was read to its end; of one that was not, nothing is said.
        unit: What was bucketed.
        key: As `key_of` gives it.
    """
    if endpoint not in NOTED or len(request) > BYTES_MAX:
        return Noted()
    asked = _read(request)
    if not isinstance(asked, dict):
        return Noted()
    question = None
    if unit is not None and unit.kind != "call":  # nobody could have asked it before
        name = unit.id.encode("utf-8", "surrogatepass")
        question = question_hash(asked, key + hashlib.blake2b(name, digest_size=32).digest())
    return Noted(_checked(asked, response, failed, complete), prompt_fingerprint(asked), question)


def _checked(asked: dict[str, Any], response: bytes | None, failed: bool, complete: bool) -> Mapping[str, bool]:
    if failed:
        return check(asked, None).known()
    if response is None or not complete:
        return {}
    wants_json = asks_for_json(asked)
    if not wants_json and is_plain(response):
        return _PLAIN
    answer = _read(response) if len(response) <= BYTES_MAX else None
    return {} if answer is None else check(asked, answer).known()


def _read(body: bytes) -> Any:
    try:
        return json.loads(body)
    except (ValueError, RecursionError):
        return None
