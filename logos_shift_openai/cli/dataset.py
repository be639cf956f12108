"""`logos-shift dataset`: calls cut into editions, which are frozen, split training sets; any file checked or split.

With `--database-url` they are a database's, with `--url` or `LOGOS_SHIFT_URL` a server's, otherwise the home folder's.
"""

from __future__ import annotations

import sys
from contextlib import contextmanager
from dataclasses import asdict
from enum import Enum
from pathlib import Path  # noqa: TC003 - typer reads the annotation
from typing import TYPE_CHECKING, Annotated, Any, Final

import typer

from logos_shift_openai.cli.calls import since_ms
from logos_shift_openai.cli.dataset_places import datasets_of
from logos_shift_openai.cli.experiment import Json, Url  # noqa: TC001 - typer reads the annotations
from logos_shift_openai.cli.keys import DatabaseUrl  # noqa: TC001 - typer reads the annotation
from logos_shift_openai.cli.output import CommandError, clean, console, emit, emit_lines, now_ms, plain_table, warn
from logos_shift_openai.cli.progress import counted

if TYPE_CHECKING:
    from collections.abc import Iterator

    from logos_shift_openai.server.datasets.register import Edition

app = typer.Typer(
    help="Cut calls into training sets; check and split files.", no_args_is_help=True, rich_markup_mode=None
)

_SHOWN_FAULTS: Final = 20
_HUNDRED: Final = 100


class Kind(str, Enum):
    """What a line holds."""

    chat = "chat"
    preference = "preference"


class Feedback(str, Enum):
    """How feedback decides."""

    unfailed = "unfailed"
    success = "success"
    any = "any"


class Answers(str, Enum):
    """Whose answers are taken."""

    baseline = "baseline"
    any = "any"


class DialectName(str, Enum):
    """The dialects of training files."""

    openai_chat = "openai-chat"
    openai_preference = "openai-preference"
    trl = "trl"
    together = "together"
    fireworks = "fireworks"


class Part(str, Enum):
    """The part of an edition."""

    train = "train"
    heldout = "heldout"


@app.command("list", epilog="Example:\n\n\b\n  logos-shift dataset list")
def list_(ctx: typer.Context, url: Url = None, database_url: DatabaseUrl = None, as_json: Json = False) -> None:
    """List the datasets, and the editions that were cut from them."""
    with datasets_of(ctx.obj, url, database_url) as there:
        datasets, editions = there.datasets(), there.editions()
    if as_json:
        emit({"datasets": [asdict(one) for one in datasets], "editions": [asdict(one) for one in editions]})
        return
    if not datasets and not editions:
        typer.echo("No calls recorded yet.")
        return
    table = plain_table()
    for name in ("dataset", "calls", "rated", "editions"):
        table.add_column(name, justify="left" if name == "dataset" else "right")
    for one in datasets:
        table.add_row(clean(one.name), f"{one.calls:,}", f"{one.rated:,}", f"{one.editions:,}")
    console().print(table)
    if editions:
        from logos_shift_openai.cli.dataset_page import editions_table  # noqa: PLC0415

        console().print(editions_table(editions, now_ms()))


@app.command("show", epilog="Example:\n\n\b\n  logos-shift dataset show 6ca15d0b")
def show(
    ctx: typer.Context,
    edition: Annotated[str, typer.Argument(metavar="ID", help="An edition's id, or how it begins.")],
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Show an edition: what it was made of, what was left out and why."""
    with datasets_of(ctx.obj, url, database_url) as there:
        found = there.edition(edition)
    _show(found, as_json=as_json)


@app.command(
    "build",
    short_help="Cut an edition from the calls of a dataset.",
    epilog="Example:\n\n\b\n  logos-shift dataset build sales --feedback success --since 30d\n"
    "  logos-shift dataset build intents --per-answer 50 --prune-constant",
)
def build(
    ctx: typer.Context,
    dataset: Annotated[str, typer.Argument(metavar="DATASET", help="Whose calls.")],
    *,
    kind: Annotated[Kind, typer.Option(metavar="KIND", help="chat, or preference pairs.")] = Kind.chat,
    since: Annotated[str | None, typer.Option(metavar="WHEN", help="As 90s, 2h, 7d, or a date.")] = None,
    until: Annotated[str | None, typer.Option(metavar="WHEN", help="The same; calls before it.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NAME", help="Only this requested model.")] = None,
    feedback: Annotated[Feedback, typer.Option(metavar="WORD", help="unfailed, success or any.")] = Feedback.unfailed,
    conversation: Annotated[
        bool, typer.Option("--conversation", help="A score counts for its whole conversation.")
    ] = False,
    metadata: Annotated[list[str] | None, typer.Option(metavar="KEY=VALUE", help="Only calls with it.")] = None,
    fingerprint: Annotated[str | None, typer.Option(metavar="HASH", help="Only calls with this prompt.")] = None,
    answers: Annotated[
        Answers, typer.Option(metavar="WORD", help="baseline, or any: a candidate's too.")
    ] = Answers.baseline,
    heldout: Annotated[float, typer.Option(min=0, max=90, metavar="PERCENT", help="Held out to measure.")] = 10.0,
    per_answer: Annotated[int | None, typer.Option(min=1, metavar="N", help="Same answer at most N times.")] = None,
    limit: Annotated[int | None, typer.Option(min=1, metavar="N", help="At most N examples.")] = None,
    max_bytes: Annotated[int, typer.Option(min=1, metavar="N", help="No line longer than this.")] = 262_144,
    near: Annotated[
        float | None, typer.Option(min=0.01, max=1, metavar="LIKENESS", help="Near duplicates out, from 0.8 or so.")
    ] = None,
    prune: Annotated[list[str] | None, typer.Option(metavar="TEXT", help="Leave this system text out.")] = None,
    prune_constant: Annotated[
        bool, typer.Option("--prune-constant", help="Leave out system texts that all calls share.")
    ] = False,
    price: Annotated[float | None, typer.Option(min=0, metavar="USD", help="A million tokens; to estimate.")] = None,
    epochs: Annotated[int, typer.Option(min=1, metavar="N", help="To estimate the cost.")] = 1,
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Cut an edition: chosen, redacted, split by conversation, without duplicates."""
    from logos_shift_openai.server.datasets.choosing import Choice, EditionError  # noqa: PLC0415

    now = now_ms()
    try:
        choice = Choice(
            dataset=dataset,
            kind=kind.value,
            since=None if since is None else since_ms(since, now),
            until=None if until is None else since_ms(until, now),
            model=model,
            feedback=feedback.value,
            conversation=conversation,
            metadata=_pairs(metadata or []),
            fingerprint=fingerprint,
            answers=answers.value,
            heldout=round(heldout * _HUNDRED),
            per_answer=per_answer,
            limit=limit,
            max_bytes=max_bytes,
            near=near,
            prune=tuple(prune or ()),
            prune_constant=prune_constant,
            price=price,
            epochs=epochs,
        )
    except EditionError as error:
        raise CommandError(str(error)) from None
    with datasets_of(ctx.obj, url, database_url, create=True) as there, counted("looking at calls") as advance:
        found = there.build(choice, advance)
    _show(found, as_json=as_json)


@app.command(
    "export",
    epilog="Example:\n\n\b\n  logos-shift dataset export 6ca15d0b > train.jsonl\n"
    "  logos-shift dataset export 6ca15d0b --part heldout --dialect trl > t.jsonl",
)
def export(
    ctx: typer.Context,
    edition: Annotated[str, typer.Argument(metavar="ID", help="An edition's id, or how it begins.")],
    *,
    part: Annotated[Part, typer.Option(metavar="PART", help="train or heldout.")] = Part.train,
    dialect: Annotated[
        DialectName | None,
        typer.Option(metavar="NAME", help="openai-chat, openai-preference, trl, together, fireworks."),
    ] = None,
    url: Url = None,
    database_url: DatabaseUrl = None,
) -> None:
    """Write an edition to stdout, as it is or in another dialect."""
    from logos_shift_openai.core.dialects import DIALECTS  # noqa: PLC0415
    from logos_shift_openai.server.datasets.exporting import Exported, exported, lines_of  # noqa: PLC0415

    result = Exported()
    with datasets_of(ctx.obj, url, database_url) as there:
        found = there.edition(edition)
        name = dialect.value if dialect is not None else str(found.manifest["dialect"])
        emit_lines(exported(lines_of(there.parts(found, part.value)), DIALECTS[name], result))
    if result.left_out:
        warn(f"{result.left_out:,} lines left out, which {name} cannot hold: {result.why}")
        if not result.written:
            raise typer.Exit(1)


@app.command(
    "validate",
    epilog="Example:\n\n\b\n  logos-shift dataset validate train.jsonl\n"
    "  logos-shift dataset validate pairs.jsonl --dialect openai-preference",
)
def validate(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines; - for stdin.", allow_dash=True)],
    *,
    dialect: Annotated[
        DialectName,
        typer.Option(metavar="NAME", help="openai-chat, openai-preference, trl, together, fireworks."),
    ] = DialectName.openai_chat,
    every: Annotated[bool, typer.Option("--all", help="Show every fault, not the first 20.")] = False,
    as_json: Annotated[bool, typer.Option("--json", help="A JSON object for each fault.")] = False,
) -> None:
    """Check any training file; exit code 1 where it has faults."""
    from logos_shift_openai.core.dialects import DIALECTS  # noqa: PLC0415
    from logos_shift_openai.server.datasets.exporting import file_faults  # noqa: PLC0415

    rows: list[int] = []
    count = 0
    with _reading(file) as opened_file:
        for fault in file_faults(opened_file, DIALECTS[dialect.value], rows.append):
            count += 1
            if as_json:
                emit(fault._asdict(), lines=True)
            elif every or count <= _SHOWN_FAULTS:
                typer.echo(clean(str(fault)))
    if count and not as_json:
        more = "" if every or count <= _SHOWN_FAULTS else f"; --all shows the other {count - _SHOWN_FAULTS:,}"
        raise CommandError(f"{count:,} faults in {sum(rows):,} rows of {dialect.value}{more}")
    if count:
        raise typer.Exit(1)
    if not as_json:
        typer.echo(f"{sum(rows):,} rows, all good {dialect.value}.")


@app.command(
    "split",
    short_help="Split any training file by conversation.",
    epilog="Example:\n\n\b\n  logos-shift dataset split mine.jsonl --heldout 20 --out split/",
)
def split(
    file: Annotated[Path, typer.Argument(metavar="FILE", help="JSON lines of any dialect.")],
    *,
    out: Annotated[Path, typer.Option(metavar="FOLDER", help="Where train and heldout.jsonl go.")],
    heldout: Annotated[float, typer.Option(min=0, max=90, metavar="PERCENT", help="Held out to measure.")] = 10.0,
    as_json: Json = False,
) -> None:
    """Split any training file so that no conversation stands in both parts."""
    from logos_shift_openai.server.datasets.exporting import numbered, side_of  # noqa: PLC0415

    try:
        out.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise CommandError(f"{out}: {error.strerror or error}") from None
    counts = {"train": 0, "heldout": 0}
    with _reading(file) as lines, (out / "train.jsonl").open("xb") as train, (out / "heldout.jsonl").open("xb") as rest:
        for number, line in numbered(lines):
            if not line.strip():
                continue
            side = side_of(line, round(heldout * _HUNDRED))
            if side is None:
                raise CommandError(f"line {number}: has no prompt to split by; see logos-shift dataset validate")
            counts[side] += 1
            (train if side == "train" else rest).write(line.rstrip(b"\r\n") + b"\n")
    if as_json:
        emit({**counts, "folder": str(out)})
        return
    typer.echo(f"{counts['train']:,} to train on, {counts['heldout']:,} held out, in {clean(out)}.")


@app.command("remove", epilog="Example:\n\n\b\n  logos-shift dataset remove 6ca15d0b")
def remove(
    ctx: typer.Context,
    edition: Annotated[str, typer.Argument(metavar="ID", help="An edition's id, or how it begins.")],
    url: Url = None,
    database_url: DatabaseUrl = None,
    as_json: Json = False,
) -> None:
    """Remove an edition and its files."""
    with datasets_of(ctx.obj, url, database_url) as there:
        found = there.edition(edition)
        there.remove(found)
    if as_json:
        emit({"removed": found.id})
    else:
        typer.echo(f"{found.id} is removed.")


def _show(found: Edition, *, as_json: bool) -> None:
    if as_json:
        emit(asdict(found))
        return
    from logos_shift_openai.cli.dataset_page import show_edition  # noqa: PLC0415

    show_edition(found)


@contextmanager
def _reading(path: Path) -> Iterator[Any]:
    try:
        if str(path) == "-":
            yield sys.stdin.buffer
        else:
            with path.open("rb") as file:
                yield file
    except OSError as error:
        raise CommandError(f"{error.filename or path}: {error.strerror or error}") from None


def _pairs(texts: list[str]) -> dict[str, Any]:
    found = dict(text.partition("=")[::2] for text in texts)
    if any("=" not in text for text in texts):
        raise typer.BadParameter("is KEY=VALUE", param_hint="--metadata")
    return found
