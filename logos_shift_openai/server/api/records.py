"""`POST /v1/records`: batches of records, as the clients' uploaders send them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Final

import msgspec

from logos_shift_openai.server.inflating import ENCODINGS, InflateError, TooLongError
from logos_shift_openai.server.intake import QueueFullError, TooManyLinesError

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from logos_shift_openai.server.ingest import Receipt

NDJSON: Final = (b"application/x-ndjson", b"application/ndjson", b"application/jsonl")
_Count = Annotated[int, msgspec.Meta(ge=0)]


class RefusedLine(msgspec.Struct):
    """A line that was not taken: its place from 1, its record's id if that can be read, and why."""

    line: Annotated[int, msgspec.Meta(ge=1)]
    id: str | None
    why: str


class ReceiptBody(msgspec.Struct):
    """What became of a batch: new records, records that were there already, and refused lines."""

    new: _Count
    seen: _Count
    refused: list[RefusedLine]


async def take_records(ask: Ask) -> Answer:
    """Take a batch in; answered after its commit."""
    ask.require_type(*NDJSON)
    encoding = (ask.header(b"content-encoding") or b"identity").strip().lower().decode("latin-1")
    if encoding not in ENCODINGS:
        names = ", ".join(ENCODINGS)
        raise ApiError(
            415, "unsupported_encoding", f"the Content-Encoding must be one of {names}", where="Content-Encoding"
        )
    limits = ask.service.limits
    try:
        with ask.service.intake.admitted(_declared(ask, limits.body_bytes)):
            body = await ask.read_body(limits.body_bytes)
            receipt = await ask.service.intake.take(body, encoding)
    except QueueFullError:
        await ask.drain()
        ask.service.metrics.add("logos_batches_turned_away_total")
        raise ApiError(503, "busy", "more batches wait than can be kept waiting", retry_after=1.0) from None
    except InflateError as error:
        raise ApiError(400, "bad_body", str(error), where="body") from None
    except TooLongError:
        message = f"the body is longer than {limits.inflated_bytes} bytes when unpacked"
        raise ApiError(413, "too_large", message, where="body") from None
    except TooManyLinesError:
        raise ApiError(413, "too_large", f"the batch has more than {limits.lines} lines", where="body") from None
    count(ask, receipt)
    refused = [RefusedLine(one.line, one.id, one.why) for one in receipt.refused]
    return Answer(to_json(ReceiptBody(receipt.new, receipt.seen, refused)))


def count(ask: Ask, receipt: Receipt) -> None:
    """Count what became of some lines."""
    for outcome, lines in (("new", receipt.new), ("seen", receipt.seen), ("refused", len(receipt.refused))):
        ask.service.metrics.add("logos_records_total", outcome, count=lines)


def _declared(ask: Ask, most: int) -> int:
    length = ask.header(b"content-length") or b""
    return min(most, int(length[:20])) if length.isdigit() else 0


ENDPOINTS = (
    Endpoint(
        "POST",
        "/v1/records",
        "ingest",
        take_records,
        "Take a batch of records in: NDJSON, a call or a feedback a line. Idempotent by the records' ids.",
        {
            200: (ReceiptBody, "Committed; `refused` names the lines that were not taken, `line` counting from 1."),
            408: (None, "The body did not come in time."),
            413: (None, "Too many bytes or lines; send it in halves."),
            415: (None, "Another Content-Type or Content-Encoding."),
        },
        body=tuple(name.decode() for name in NDJSON),
        headers=("Content-Encoding",),
    ),
)
