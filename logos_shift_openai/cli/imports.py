"""`logos-shift import`: take in logs that were kept elsewhere, into the embedded store, a server or its database.

Its rule: every entry is accounted for. What cannot be read is named with its place and why; the rest goes in, and what
is there already stays as it is.
"""

from __future__ import annotations

import os
from collections import Counter
from enum import Enum
from itertools import islice
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.experiment import Json, Url  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, bars_wanted, clean, console, emit, now_ms
from logos_shift_openai.cli.session import opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from logos_shift_openai.cli.session import Place
    from logos_shift_openai.core.redaction import Redaction
    from logos_shift_openai.server.importing.items import Item

    Send = Callable[[list[bytes]], tuple[int, int, list[tuple[int, str]]]]
    """Takes lines; gives how many were new, how many were seen, and the refused ones (from 0) with why."""

EXAMPLE: Final = (
    "Example:\n\n\b\n  logos-shift import chat conversations.jsonl --dataset sales\n"
    "  logos-shift import langfuse observations.jsonl.gz --dry-run\n"
    "  logos-shift import openai --dataset support --limit 1000"
)

_BATCH: Final = 200
_BATCH_BYTES: Final = 1_000_000
_SHOWN: Final = 10
_SEND_SECONDS: Final = 60.0
_WORDS: Final = {"seen": "there already", "refused": "refused", "passed over": "of other models"}


class Source(str, Enum):
    """Where the logs come from."""

    chat = "chat"
    openai = "openai"
    langfuse = "langfuse"
    langsmith = "langsmith"


class _Counts(Counter[str]):
    """How many entries ended how, and the first faults in words."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[str] = []

    def fault(self, where: str, why: str) -> None:
        self["refused"] += 1
        if len(self.faults) < _SHOWN:
            self.faults.append(f"{where}: {why}")


def import_(
    ctx: typer.Context,
    *,
    source: Annotated[Source, typer.Argument(metavar="SOURCE", help="chat, openai, langfuse or langsmith.")],
    file: Annotated[
        Path | None,
        typer.Argument(
            metavar="FILE", help="Lines of JSON or one JSON document, gzipped or not.", exists=True, dir_okay=False
        ),
    ] = None,
    dataset: Annotated[str, typer.Option(metavar="NAME", help="Where the calls go.")] = "imported",
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only calls that this model answered.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most so many entries.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Read and judge everything, keep nothing.")] = False,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Take in calls that were logged elsewhere: chat JSONL, OpenAI's stored completions, Langfuse, LangSmith.

    Without a FILE, stored completions are read from OpenAI with OPENAI_API_KEY. Importing again adds nothing twice.
    """
    from logos_shift_openai.client.settings import read_settings  # noqa: PLC0415
    from logos_shift_openai.errors import SettingsError  # noqa: PLC0415

    if file is None and source is not Source.openai:
        raise typer.BadParameter(f"{source.value} is imported from a file", param_hint="FILE")
    try:
        redaction = read_settings({}).redact
    except SettingsError as error:
        raise CommandError(str(error)) from None
    items, at = (_stored(model), now_ms()) if file is None else _of_file(file)
    counts = _Counts()
    lines = _lines(islice(items, limit), source.value, dataset, model, at, redaction, counts)
    with _progress() as advance:
        if dry_run:
            _take(lines, _nowhere, counts, advance)
        elif url and url.strip() and not database_url:
            _take(lines, _to_server(url), counts, advance)
        else:
            _into_store(ctx.obj, database_url, lines, counts, advance)
    _say(counts, dry_run=dry_run, as_json=as_json)


def _of_file(file: Path) -> tuple[Iterator[Item], int]:
    from logos_shift_openai.server.importing.items import read_items  # noqa: PLC0415

    return read_items(file), int(file.stat().st_mtime * 1_000)


def _stored(model: str | None) -> Iterator[Item]:
    """Read stored completions from OpenAI, each with what was asked."""
    import openai  # noqa: PLC0415

    from logos_shift_openai.server.importing.items import Item  # noqa: PLC0415

    try:
        client = openai.OpenAI()
        completions = client.chat.completions
        pages = completions.list(order="asc") if model is None else completions.list(order="asc", model=model)
        for number, one in enumerate(pages, 1):
            asked = [message.model_dump(exclude_none=True) for message in completions.messages.list(one.id)]
            yield Item(f"completion {number}", {**one.model_dump(exclude_none=True), "messages": asked})
    except openai.OpenAIError as error:
        raise CommandError(f"OpenAI's stored completions cannot be read: {clean(error)}") from None


def _lines(
    items: Iterable[Item], source: str, dataset: str, model: str | None, at: int, redaction: Redaction, counts: _Counts
) -> Iterator[tuple[str, list[bytes]]]:
    """Give the lines of each entry that is a call, with its place."""
    from logos_shift_openai.core.redaction import Unclean  # noqa: PLC0415
    from logos_shift_openai.server.importing.formats import FORMATS  # noqa: PLC0415
    from logos_shift_openai.server.importing.imported import NotImportableError, lines_of  # noqa: PLC0415

    for item in items:
        counts["entries"] += 1
        if item.fault is not None:
            counts.fault(item.where, item.fault)
            continue
        try:
            one = FORMATS[source](item.value, at)
            if model is not None and one.model != model:
                counts["passed over"] += 1
                continue
            yield item.where, list(lines_of(one, source, dataset, redaction))
        except (NotImportableError, Unclean, ValueError, RecursionError) as error:
            counts.fault(item.where, str(error))


def _take(
    lines: Iterator[tuple[str, list[bytes]]], send: Send, counts: _Counts, advance: Callable[[int], None]
) -> None:
    """Send the lines in batches and count what became of them."""
    for batch in _batches(lines):
        places = [where for where, entry in batch for _ in entry]
        new, seen, refused = send([line for _, entry in batch for line in entry])
        counts["new"] += new
        counts["seen"] += seen
        for place, why in refused:
            counts.fault(places[place], why)
        advance(len(batch))


def _batches(lines: Iterator[tuple[str, list[bytes]]]) -> Iterator[list[tuple[str, list[bytes]]]]:
    """Put entries together, few enough for one transaction and small enough for one request."""
    batch: list[tuple[str, list[bytes]]] = []
    size = 0
    for where, entry in lines:
        batch.append((where, entry))
        size += sum(map(len, entry))
        if len(batch) >= _BATCH or size >= _BATCH_BYTES:
            yield batch
            batch, size = [], 0
    if batch:
        yield batch


def _into_store(
    place: Place,
    address: str | None,
    lines: Iterator[tuple[str, list[bytes]]],
    counts: _Counts,
    advance: Callable[[int], None],
) -> None:
    from logos_shift_openai.server.ingest import ingest  # noqa: PLC0415

    with opened(place, create=not address, address=address) as store:

        def send(batch: list[bytes]) -> tuple[int, int, list[tuple[int, str]]]:
            receipt = ingest(store, batch, now_ms())
            return receipt.new, receipt.seen, [(one.line - 1, one.why) for one in receipt.refused]

        _take(lines, send, counts, advance)


def _to_server(url: str) -> Send:
    from logos_shift_openai.cli.remote import remote_of  # noqa: PLC0415
    from logos_shift_openai.client.wire import Wire, WireError  # noqa: PLC0415

    remote = remote_of(url, os.environ.get("LOGOS_SHIFT_API_KEY"))
    wire = Wire(remote.url, remote.api_key)

    def send(batch: list[bytes]) -> tuple[int, int, list[tuple[int, str]]]:
        try:
            receipt = wire.post_records(b"".join(batch), _SEND_SECONDS)
        except WireError as error:
            raise CommandError(f"{remote.url}: {error}; what was sent before is there, import again") from None
        return receipt.new, receipt.seen, [(one.line - 1, one.why) for one in receipt.refused]

    return send


def _nowhere(batch: list[bytes]) -> tuple[int, int, list[tuple[int, str]]]:
    return len(batch), 0, []


class _progress:  # noqa: N801 - used like a function
    """A count that runs on a terminal and is not there in a pipe."""

    def __enter__(self) -> Callable[[int], None]:
        from rich.progress import MofNCompleteColumn, Progress, SpinnerColumn, TextColumn  # noqa: PLC0415

        out = console(stderr=True)
        columns = (SpinnerColumn(), TextColumn("importing"), MofNCompleteColumn())
        self._bar = Progress(*columns, console=out, transient=True, disable=not bars_wanted())
        self._bar.start()
        task = self._bar.add_task("", total=None)
        return lambda entries: self._bar.advance(task, entries)

    def __exit__(self, *_: object) -> None:
        self._bar.stop()


def _say(counts: _Counts, *, dry_run: bool, as_json: bool) -> None:
    names = ("entries", "new", "seen", "refused", "passed over")
    if as_json:
        figures: dict[str, Any] = {name.replace(" ", "_"): counts[name] for name in names}
        emit({**figures, "faults": counts.faults, "kept": not dry_run})
    else:
        what = "would be new" if dry_run else "new"
        parts = [f"{counts['new']:,} records {what}"]
        parts += [f"{counts[name]:,} {words}" for name, words in _WORDS.items() if counts[name]]
        typer.echo(f"{counts['entries']:,} entries: {', '.join(parts)}.")
        for fault in counts.faults:
            typer.echo(f"  {clean(fault)}", err=True)
        if counts["refused"] > len(counts.faults):
            typer.echo(f"  … and {counts['refused'] - len(counts.faults):,} more", err=True)
    if counts["refused"] and not counts["new"] and not counts["seen"]:
        raise typer.Exit(1)
