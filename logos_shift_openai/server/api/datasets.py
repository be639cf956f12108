"""`/v1/datasets` and `/v1/editions`: what was recorded of each use case, and the training sets cut from it."""

from __future__ import annotations

import asyncio
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from logos_shift_openai.core.dialects import DIALECTS
from logos_shift_openai.core.left_out import REASONS
from logos_shift_openai.server.datasets.choosing import Choice, EditionError
from logos_shift_openai.server.datasets.desk import DeskBusyError, EditionDesk
from logos_shift_openai.server.datasets.exporting import Exported, exported, lines_of
from logos_shift_openai.server.datasets.files import ASKED
from logos_shift_openai.server.datasets.preview import preview
from logos_shift_openai.server.datasets.register import find_edition, list_datasets, list_editions, remove_edition

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from logos_shift_openai.server.datasets.register import Edition

_Name = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]
_Time = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
_Count = Annotated[int, msgspec.Meta(ge=1, le=2**53)]
_NDJSON = b"application/x-ndjson"


class OneDataset(msgspec.Struct):
    """The calls of a dataset, those with feedback, and how many editions were cut from it."""

    name: str
    calls: int
    rated: int
    first_at: int | None
    last_at: int | None
    editions: int


class Datasets(msgspec.Struct):
    """All that have calls, by name."""

    datasets: list[OneDataset]


class OneEdition(msgspec.Struct):
    """A frozen training set; all about it is in its manifest."""

    id: str
    dataset: str
    at: int
    place: str
    manifest: dict[str, Any]


class Editions(msgspec.Struct):
    """Editions, the latest first."""

    editions: list[OneEdition]


class EditionsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Of which dataset."""

    dataset: _Name | None = None


class LinesAsked(msgspec.Struct, forbid_unknown_fields=True):
    """In which dialect; as the edition lies there unless said."""

    dialect: Literal["openai-chat", "openai-preference", "trl", "together", "fireworks"] | None = None


class EditionWanted(msgspec.Struct, forbid_unknown_fields=True):
    """What an edition is made of. Times are milliseconds since 1970, `heldout` is in basis points."""

    dataset: _Name
    kind: Literal["chat", "preference"] = "chat"
    since: _Time | None = None
    until: _Time | None = None
    model: _Name | None = None
    feedback: Literal["unfailed", "success", "any"] = "unfailed"
    conversation: bool = False
    metadata: dict[str, str] = {}
    fingerprint: _Name | None = None
    answers: Literal["baseline", "any"] = "baseline"
    heldout: Annotated[int, msgspec.Meta(ge=0, le=9_000)] = 1_000
    per_answer: _Count | None = None
    limit: _Count | None = None
    max_bytes: _Count = 262_144
    near: Annotated[float, msgspec.Meta(gt=0, le=1)] | None = None
    prune: tuple[str, ...] = ()
    prune_constant: bool = False
    price: Annotated[float, msgspec.Meta(ge=0, le=1e6)] | None = None
    epochs: Annotated[int, msgspec.Meta(ge=1, le=1_000)] = 1


class LeftOut(msgspec.Struct):
    """A reason why calls are left out, what it means and what would change it."""

    reason: str
    calls: int
    meaning: str
    step: str


class Looked(msgspec.Struct):
    """What an edition would be made of. `since` is a time where only the latest calls were looked at, else null."""

    read: int
    since: int | None
    train: int
    heldout: int
    corrected: int
    left_out: list[LeftOut]
    redacted: dict[str, int]
    answers: int
    examples: list[Any]


async def datasets(ask: Ask) -> Answer:
    """List the datasets."""
    found = await ask.service.read(list_datasets)
    return Answer(to_json(Datasets([OneDataset(**asdict(one)) for one in found])))


async def editions(ask: Ask) -> Answer:
    """List editions."""
    wanted = ask.query(EditionsAsked).dataset
    found = await ask.service.read(lambda connection: list_editions(connection, wanted))
    return Answer(to_json(Editions([_shown(one) for one in found])))


async def look(ask: Ask) -> Answer:
    """Look at what an edition would be made of."""
    wanted = await ask.read_json(EditionWanted)
    store = ask.service.store
    try:
        found = await ask.service.look(lambda: preview(store, choice_of(wanted)))
    except EditionError as error:
        raise ApiError(409, "no_edition", str(error)) from None
    reasons = [
        LeftOut(name, count, REASONS[name].meaning, REASONS[name].step) for name, count in found.left_out.items()
    ]
    return Answer(to_json(Looked(**{**asdict(found), "left_out": reasons})))


def choice_of(wanted: EditionWanted) -> Choice:
    """Read what an edition is to be made of."""
    return Choice(**{name: getattr(wanted, name) for name in wanted.__struct_fields__})


async def make(ask: Ask) -> Answer:
    """Make an edition, and wait for it."""
    wanted = await ask.read_json(EditionWanted)
    desk = desk_of(ask)
    try:
        return Answer(to_json(_shown(await desk.make(choice_of(wanted)))))
    except DeskBusyError:
        raise ApiError(503, "busy", "another edition is being made", retry_after=5.0) from None
    except EditionError as error:
        raise ApiError(409, "no_edition", str(error)) from None


async def show(ask: Ask) -> Answer:
    """Show one with its manifest."""
    return Answer(to_json(_shown(await _find(ask))))


async def train(ask: Ask) -> Answer:
    """Give the lines to train on."""
    return await _lines(ask, "train.jsonl")


async def heldout(ask: Ask) -> Answer:
    """Give the lines to measure by."""
    return await _lines(ask, "heldout.jsonl")


async def heldout_asked(ask: Ask) -> Answer:
    """Give what the held-out calls asked besides."""
    found, desk = await _find(ask), desk_of(ask)
    return await _file(desk, found, ASKED)


async def remove(ask: Ask) -> Answer:
    """Remove an edition with its files."""
    found, desk = await _find(ask), desk_of(ask)
    store = ask.service.store
    await asyncio.get_running_loop().run_in_executor(None, remove_edition, store, desk.kept, found.id)
    return Answer(to_json(_shown(found)))


async def _lines(ask: Ask, name: str) -> Answer:
    dialect = ask.query(LinesAsked).dialect
    found, desk = await _find(ask), desk_of(ask)
    own = str(found.manifest["dialect"])
    if dialect is not None and dialect.startswith("openai") and dialect != own:
        raise ApiError(400, "bad_query", f"the edition is of {own}", where="dialect")
    whole = await _file(desk, found, name)
    if dialect is None or dialect == own or whole.stream is None:
        return whole
    lines = exported(lines_of(whole.stream), DIALECTS[dialect], Exported())
    return Answer(content_type=_NDJSON, stream=lines)


async def _file(desk: EditionDesk, found: Edition, name: str) -> Answer:
    try:
        size, parts = await asyncio.get_running_loop().run_in_executor(None, desk.kept.read, found.id, name)
    except EditionError as error:
        raise ApiError(409, "not_here", f"its files are not here: {error}") from None
    return Answer(content_type=_NDJSON, stream=parts, size=size)


async def _find(ask: Ask) -> Edition:
    name = ask.path["id"]
    found = await ask.service.read(lambda connection: find_edition(connection, name))
    if found is None:
        raise ApiError(404, "not_found", "there is no such edition", where="id")
    return found


def desk_of(ask: Ask) -> EditionDesk:
    """Give the desk of this server, or say that it has none."""
    desk = ask.service.editions
    if desk is None:
        raise ApiError(409, "no_place", "this server has no place for the files of editions")
    return desk


def _shown(edition: Edition) -> OneEdition:
    return OneEdition(edition.id, edition.dataset, edition.at, edition.place, edition.manifest)


_NONE = {404: (None, "There is none.")}
_FILE = {200: (bytes, "A line of JSON for each example."), 409: (None, "Its files are not here."), **_NONE}
ENDPOINTS = (
    Endpoint("GET", "/v1/datasets", "read", datasets, "List the datasets that have calls.", {200: (Datasets, "All.")}),
    Endpoint(
        "GET",
        "/v1/editions",
        "read",
        editions,
        "List the editions, the latest first.",
        {200: (Editions, "All.")},
        query=EditionsAsked,
    ),
    Endpoint(
        "POST",
        "/v1/editions",
        "admin",
        make,
        "Cut an edition from a dataset; answers when it is made. The same calls and choice give the same edition.",
        {200: (OneEdition, "The edition."), 409: (None, "Nothing is left to train on; why, and what helps.")},
        body=EditionWanted,
    ),
    Endpoint(
        "POST",
        "/v1/datasets/preview",
        "read",
        look,
        "Look at what an edition would be made of, and what each rule leaves out, in the latest calls.",
        {200: (Looked, "What it would be."), 409: (None, "There can be no such edition; why.")},
        body=EditionWanted,
    ),
    Endpoint(
        "GET",
        "/v1/editions/{id}",
        "read",
        show,
        "Show an edition with its manifest.",
        {200: (OneEdition, "The edition."), **_NONE},
    ),
    Endpoint(
        "GET",
        "/v1/editions/{id}/train.jsonl",
        "read",
        train,
        "Download what is to be trained on, in the edition's dialect or another one.",
        _FILE,
        query=LinesAsked,
    ),
    Endpoint(
        "GET",
        "/v1/editions/{id}/heldout.jsonl",
        "read",
        heldout,
        "Download what is held out, in the edition's dialect or another one.",
        _FILE,
        query=LinesAsked,
    ),
    Endpoint(
        "GET",
        "/v1/editions/{id}/heldout-asked.jsonl",
        "read",
        heldout_asked,
        "Download what each held-out call asked besides messages and tools, with its id.",
        _FILE,
    ),
    Endpoint(
        "DELETE",
        "/v1/editions/{id}",
        "admin",
        remove,
        "Remove an edition and its files.",
        {200: (OneEdition, "What it was."), 409: (None, "This server does not have its files."), **_NONE},
    ),
)
