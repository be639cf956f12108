"""`/v1/keys`: make, list and revoke the keys of the server."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

from logos_shift_openai.server.keys import Key, create_key, list_keys, revoke_key

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

_Scope = Literal["ingest", "read", "admin"]


class KeyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """What it may do, and whose it is."""

    scope: _Scope
    label: Annotated[str, msgspec.Meta(max_length=200)] = ""


class KeyMade(msgspec.Struct):
    """A new key. `key` is its text, which is shown this once."""

    key: str
    id: str
    scope: _Scope
    label: str
    created: int


class KeyList(msgspec.Struct):
    """All keys, without their secrets."""

    keys: list[Key]


async def make(ask: Ask) -> Answer:
    """Make one."""
    asked = await ask.read_json(KeyAsked)
    now = ask.service.now()
    text, key = await ask.service.write(lambda connection: create_key(connection, asked.scope, asked.label, now))
    ask.service.keys.forget(key.id)
    return Answer(to_json(KeyMade(text, key.id, key.scope, key.label, key.created)), 201)


async def list_all(ask: Ask) -> Answer:
    """List them."""
    return Answer(to_json(KeyList(await ask.service.read(list_keys))))


async def revoke(ask: Ask) -> Answer:
    """Revoke one."""
    key_id, now = ask.path["id"], ask.service.now()
    key = await ask.service.write(lambda connection: revoke_key(connection, key_id, now))
    if key is None:
        raise ApiError(404, "not_found", "there is no such key", where="id")
    ask.service.keys.forget(key.id)
    return Answer(to_json(key))


ENDPOINTS = (
    Endpoint("GET", "/v1/keys", "admin", list_all, "List the keys, revoked ones too.", {200: (KeyList, "All.")}),
    Endpoint(
        "POST",
        "/v1/keys",
        "admin",
        make,
        "Make a key; its text is shown this once.",
        {201: (KeyMade, "Made.")},
        body=KeyAsked,
    ),
    Endpoint(
        "DELETE",
        "/v1/keys/{id}",
        "admin",
        revoke,
        "Revoke a key for good, everywhere within five seconds.",
        {200: (Key, "Revoked."), 404: (None, "There is none.")},
    ),
)
