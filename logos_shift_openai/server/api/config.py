"""`/v1/config`: the live config for clients, and its versions for people.

The 304 is what a server answers most often, so its endpoint looks at the headers once and builds nothing twice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated, Any

import msgspec

from logos_shift_openai.server.config_versions import change_config, list_versions

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from logos_shift_openai.server.config_versions import Version
    from logos_shift_openai.server.experiments import Document

_LONGEST_WAIT = 30.0
_CACHE = (b"cache-control", b"private, no-cache")


class Wait(msgspec.Struct, forbid_unknown_fields=True):
    """How long to wait for a newer version than the one in If-None-Match, seconds."""

    wait: Annotated[float, msgspec.Meta(ge=0, le=_LONGEST_WAIT)] = 0.0


class ConfigDocument(msgspec.Struct):
    """A config document; see the page on its format. All keys but the version have defaults."""

    version: int
    experiments: list[dict[str, Any]] | msgspec.UnsetType = msgspec.UNSET


class PutConfig(msgspec.Struct, forbid_unknown_fields=True):
    """A whole new document, in place of the live one; its version is the server's to give."""

    document: dict[str, Any]
    why: Annotated[str, msgspec.Meta(max_length=2_000)] = ""
    expected_version: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None


class VersionShown(msgspec.Struct):
    """One version of the config."""

    version: int
    at: int
    by_key: str | None
    why: str
    document: dict[str, Any]


class Versions(msgspec.Struct):
    """Versions, the latest first."""

    versions: list[VersionShown]


class VersionsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which versions."""

    before: Annotated[int, msgspec.Meta(ge=0, le=2**53)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20


async def get_config(ask: Ask) -> Answer:
    """Give the live config, or 304 to a client that has it."""
    live = ask.service.config
    if not live.known:
        raise ApiError(503, "store_unavailable", "the config has not been read yet", retry_after=1.0)
    wait = ask.query(Wait).wait if ask.scope["query_string"] else 0.0
    given = ask.header(b"if-none-match")
    _note_follower(ask, given)
    if given is None:
        return _whole(ask)
    if given == live.current.etag and not wait:
        return Answer(b"", 304, [(b"etag", given), _CACHE], None)
    etags = frozenset(one.strip().removeprefix(b"W/") for one in given.split(b","))
    known = live.current.etag if b"*" in etags else None
    current = await live.newer_than(etags | {known} if known else etags, wait, ask.gone)
    if current.etag in etags or current.etag == known:
        return Answer(b"", 304, [(b"etag", current.etag), _CACHE], None)
    return _whole(ask)


def _note_follower(ask: Ask, etag: bytes | None) -> None:
    """Remember which version the asker has, or is about to get; an ETag begins with it."""
    if ask.caller is not None and ask.caller.key_id is not None:
        version = ask.service.config.current.version
        digits = b"" if etag is None else etag.lstrip(b'"').partition(b"-")[0]
        if digits.isdigit() and len(digits) < 16:  # noqa: PLR2004 - 2^53 has 16 digits
            version = int(digits)
        ask.service.followers[ask.caller.key_id] = (version, ask.service.now())


def _whole(ask: Ask) -> Answer:
    current = ask.service.config.current
    return Answer(current.body, 200, [(b"etag", current.etag), _CACHE])


async def put_config(ask: Ask) -> Answer:
    """Put a whole document in force."""
    asked = await ask.read_json(PutConfig)

    def change(document: Document) -> None:
        document.clear()
        document.update(asked.document)

    service = ask.service
    made, _ = await service.intake.change(
        lambda: change_config(
            service.store,
            change,
            why=asked.why or "put whole",
            now=service.now(),
            by_key=None if ask.caller is None else ask.caller.key_id,
            expected=asked.expected_version,
        )
    )
    await service.config.refresh()
    return Answer(to_json(_shown(made)))


async def get_versions(ask: Ask) -> Answer:
    """List versions."""
    asked = ask.query(VersionsAsked)
    found = await ask.service.read(lambda connection: list_versions(connection, asked.before, asked.limit))
    return Answer(to_json(Versions([_shown(one) for one in found])))


def _shown(one: Version) -> VersionShown:
    return VersionShown(one.version, one.at, one.by_key, one.why, msgspec.json.decode(one.document))


ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/config",
        "ingest",
        get_config,
        "The live config. With If-None-Match it is 304 where nothing changed; with `wait` only after so many seconds.",
        {200: (ConfigDocument, "The document; its ETag is in the header."), 304: (None, "The one you have.")},
        query=Wait,
        headers=("If-None-Match",),
    ),
    Endpoint(
        "PUT",
        "/v1/config",
        "admin",
        put_config,
        "Put a whole document in force: sampling, redaction, kill switch, experiments.",
        {
            200: (VersionShown, "In force."),
            412: (None, "Another version is live than the one expected."),
            409: (None, "Others change it all the time."),
        },
        body=PutConfig,
    ),
    Endpoint(
        "GET",
        "/v1/config/versions",
        "read",
        get_versions,
        "List the versions of the config, the latest first.",
        {200: (Versions, "The versions.")},
        query=VersionsAsked,
    ),
)
