"""`logos-shift feedback`: say of a call how good it was, straight into the store."""

from __future__ import annotations

import getpass
import json
import math
import os
from typing import Annotated, Any, Final, Literal

import typer

from logos_shift_openai.cli.output import CommandError, clean, emit, now_ms
from logos_shift_openai.cli.session import opened

EXAMPLE: Final = (
    "Example:\n\n\b\n  logos-shift feedback chatcmpl-9xKq2 success\n"
    '  logos-shift feedback chatcmpl-9xKq2 0.3 --comment "too long"\n'
    '  logos-shift feedback chatcmpl-9xKq2 failure --correction "Paris"'
)


def feedback(
    ctx: typer.Context,
    *,
    call_id: Annotated[str, typer.Argument(metavar="ID", help="Our id, or the provider's own.")],
    verdict: Annotated[
        str | None, typer.Argument(metavar="VERDICT", help="success, failure, or a number from 0 to 1.")
    ] = None,
    comment: Annotated[str | None, typer.Option(metavar="TEXT", help="Why, in words.")] = None,
    correction: Annotated[str | None, typer.Option(metavar="TEXT", help="The right answer: a text, or JSON.")] = None,
    by: Annotated[str | None, typer.Option(metavar="NAME", help="Who says so, if not you.")] = None,
    as_json: Annotated[bool, typer.Option("--json", help="JSON on stdout, nothing else.")] = False,
) -> None:
    """Say of a call how good it was; of several feedbacks the latest counts."""
    from logos_shift_openai.core.ids import ENTROPY_BYTES, uuid7  # noqa: PLC0415
    from logos_shift_openai.core.records import FeedbackRecord, feedback_line  # noqa: PLC0415
    from logos_shift_openai.server.calls import find_call  # noqa: PLC0415
    from logos_shift_openai.server.ingest import ingest_within  # noqa: PLC0415

    value, label = read_verdict(verdict)
    if verdict is None and comment is None and correction is None:
        raise typer.BadParameter("give a verdict, a --comment or a --correction", param_hint="VERDICT")
    at = now_ms()
    record = FeedbackRecord(
        id=uuid7(at, os.urandom(ENTROPY_BYTES)),
        at=at,
        call_id=call_id,
        value=value,
        label=label,
        comment=comment,
        correction=None if correction is None else _json_or_text(correction),
        by=by or _user(),
    )
    with opened(ctx.obj, create=True) as store, store.writing() as connection:
        answer = ingest_within(connection, [feedback_line(record)], at)
        known = find_call(connection, call_id) is not None
    if answer.refused:
        raise CommandError(f"feedback refused: {answer.refused[0].why}")
    if as_json:
        emit({"id": record.id, "call_id": call_id, "value": value, "label": label, "call_known": known})
    elif known:
        typer.echo(f"Kept for the call {clean(call_id)}.")
    else:
        typer.echo(f"Kept. No call {clean(call_id)} is in {clean(ctx.obj.home)} yet; it counts once there is one.")


def read_verdict(text: str | None) -> tuple[float | None, Literal["success", "failure"] | None]:
    """Read a verdict into a value and a label, of which one at most is given.

    Raises:
        typer.BadParameter: it is neither a word nor a number in [0, 1].
    """
    if text is None:
        return None, None
    word = text.strip().lower()
    if word == "success":
        return None, "success"
    if word == "failure":
        return None, "failure"
    try:
        value = float(word)
    except ValueError:
        value = math.nan
    if not 0 <= value <= 1:
        raise typer.BadParameter(f"{text!r} is not success, failure or a number from 0 to 1", param_hint="VERDICT")
    return value, None


def _json_or_text(text: str) -> Any:
    """Take JSON objects and arrays as such; everything else is the answer's text, `42` and `true` too."""
    if text.lstrip()[:1] not in {"{", "["}:
        return text
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return text


def _user() -> str | None:
    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return None
