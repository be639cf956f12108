"""The OpenAPI document, made of the same table as the routes, so that it can say nothing that is not so."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

import msgspec

from logos_shift_openai.version import __version__

from .exchange import Endpoint, Faulty

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

_REF: Final = "#/components/schemas/{name}"
_ALWAYS: Final[Mapping[int, str]] = {500: "A fault of the server.", 503: "Not now; wait for Retry-After seconds."}
_WITH_KEY: Final[Mapping[int, str]] = {
    401: "No good key.",
    403: "The key may not do that.",
    429: "Too often; wait for Retry-After seconds.",
}
_HEADERS: Final[Mapping[str, Any]] = {
    "Content-Encoding": {"type": "string", "enum": ["identity", "gzip", "zstd"]},
    "If-Match": {"type": "string", "description": "ETag that it must have."},
    "If-None-Match": {"type": "string", "description": "ETag of the version you have."},
}


def document(endpoints: Iterable[Endpoint]) -> dict[str, Any]:
    """Make the document.

    Args:
        endpoints: All there are.
    """
    endpoints = list(endpoints)
    types = list(_types(endpoints))
    schemas, components = msgspec.json.schema_components(types, ref_template=_REF)
    by_type = dict(zip(map(repr, types), schemas, strict=True))
    paths: dict[str, dict[str, Any]] = {}
    for endpoint in endpoints:
        paths.setdefault(endpoint.path, {})[endpoint.method.lower()] = _operation(endpoint, by_type, components)
    return {
        "openapi": "3.1.0",
        "info": {"title": "Logos server", "version": __version__, "license": {"name": "MIT", "identifier": "MIT"}},
        "paths": paths,
        "components": {
            "schemas": components,
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "ls_<scope>_<id>_<secret>"}},
        },
    }


def _types(endpoints: list[Endpoint]) -> Iterable[Any]:
    seen: set[str] = set()
    for endpoint in endpoints:
        answers = [of for of, _ in endpoint.answers.values()]
        for of in (Faulty, endpoint.body, endpoint.query, *answers):
            if of is not None and of is not bytes and not isinstance(of, tuple) and repr(of) not in seen:
                seen.add(repr(of))
                yield of


def _operation(endpoint: Endpoint, schemas: Mapping[str, Any], components: Mapping[str, Any]) -> dict[str, Any]:
    operation: dict[str, Any] = {
        "operationId": _operation_id(endpoint),
        "summary": endpoint.summary,
        "parameters": [
            *({"name": name, "in": "path", "required": True, "schema": {"type": "string", "minLength": 1}}
              for name in re.findall(r"{(\w+)}", endpoint.path)),
            *({"name": name, "in": "header", "required": False, "schema": _HEADERS[name]} for name in endpoint.headers),
            *_query(endpoint, components),
        ],
        "responses": _responses(endpoint, schemas),
        "security": [{"key": []}] if endpoint.scope else [],
    }  # fmt: skip
    if endpoint.scope:
        operation["description"] = f"Needs a key of the scope {endpoint.scope}" + (
            ", or admin." if endpoint.scope != "admin" else "."
        )
    if isinstance(endpoint.body, tuple):
        content: dict[str, Any] = {name: {"schema": {"type": "string"}} for name in endpoint.body}
        operation["requestBody"] = {"required": True, "content": content}
    elif endpoint.body is not None:
        content = {"application/json": {"schema": schemas[repr(endpoint.body)]}}
        operation["requestBody"] = {"required": True, "content": content}
    return operation


def _query(endpoint: Endpoint, components: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    if endpoint.query is None:
        return
    for name, schema in components[endpoint.query.__name__]["properties"].items():
        yield {"name": name, "in": "query", "required": False, "schema": _without_null(schema)}


def _without_null(schema: Mapping[str, Any]) -> Mapping[str, Any]:
    """A query has no null: what may be null may be left out."""
    kept = {name: value for name, value in schema.items() if not (name == "default" and value is None)}
    if "anyOf" in kept:
        rest = [one for one in kept["anyOf"] if one != {"type": "null"}]
        kept = {**{name: value for name, value in kept.items() if name != "anyOf"}, **rest[0]}
    if "enum" in kept:
        kept["enum"] = [value for value in kept["enum"] if value is not None]
    return kept


def _responses(endpoint: Endpoint, schemas: Mapping[str, Any]) -> dict[str, Any]:
    fault = {"application/json": {"schema": schemas[repr(Faulty)]}}
    said: dict[int, dict[str, Any]] = {}
    for status, text in {**_ALWAYS, **(_WITH_KEY if endpoint.scope else {})}.items():
        said[status] = {"description": text, "content": fault}
    if endpoint.query or endpoint.body or "{" in endpoint.path:
        said[400] = {"description": "A part cannot be meant; `where` names it.", "content": fault}
    if endpoint.body:
        for status, text in ((408, "Too slow."), (413, "Too long."), (415, "Another type.")):
            said[status] = {"description": text, "content": fault}
    said[403] = {"description": _WITH_KEY[403], "content": fault}  # also: without keys, for another machine
    for status, (of, text) in endpoint.answers.items():
        content = fault
        if of is str:
            content = {"text/plain": {"schema": {"type": "string"}}}
        elif of is bytes:
            content = {"application/x-ndjson": {"schema": {"type": "string"}}}
        elif of is not None:
            content = {"application/json": {"schema": schemas[repr(of)]}}
        said[status] = {"description": text, **({} if status == 304 else {"content": content})}  # noqa: PLR2004
    return {str(status): said[status] for status in sorted(said)}


def _operation_id(endpoint: Endpoint) -> str:
    words = re.findall(r"[a-z]+", endpoint.path.replace("v1", ""))
    return "_".join([endpoint.method.lower(), *words])
