"""The table of paths, and what stands behind each.

Owns the mapping from method and path to a function; each function reads the request, asks one part of the
service, and shapes the answer.
"""

from __future__ import annotations

import json
import re
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, TypeAlias
from urllib.parse import unquote

from .chat import complete
from .chat_request import read_chat_request
from .errors import ApiError, invalid
from .exchange import HangUp, Reply, Request, Stream, json_reply
from .faults import fault_from_json
from .features import question
from .job import read_job
from .multipart import read_form
from .paging import page

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from .completion import Completion
    from .service import Service

Answer: TypeAlias = "Reply | Stream"
_FIRST_TOKEN_SHARE = 0.6  # of the thinking time of a streamed answer


@dataclass(frozen=True)
class Route:
    """One line of the table; ``on`` is what ``Fault.on`` calls it."""

    method: str
    path: re.Pattern[str]
    on: str
    answer: Callable[..., Answer]


def find_route(method: str, path: str) -> tuple[Route, tuple[str, ...]]:
    """Find the route of a request and the parameters in its path.

    Raises:
        ApiError: 404 for an unknown path, 405 for a known one with another method.
    """
    known = False
    for route in ROUTES:
        match = route.path.fullmatch(path)
        if match and route.method == method:
            return route, tuple(unquote(part) for part in match.groups())
        known = known or match is not None
    if known:
        message = f"Not allowed to {method} on {path}."
        raise ApiError(405, message, code="method_not_supported")
    raise ApiError(404, f"Invalid URL ({method} {path})")


def _create_chat(service: Service, request: Request, deployment: str | None = None) -> Answer:
    body = request.json()
    if deployment is not None:
        body = {**body, "model": body.get("model") or deployment}
    asked = read_chat_request(body)
    model = service.catalogue.get(asked.model)
    completion = complete(asked, model.answerer, service.seed)
    if asked.store:
        service.stored.keep(completion, body)
    seconds = service.thinking_time(model.slowness, question(asked.messages))
    if asked.stream:
        return Stream(_events(service, request, completion, seconds))
    service.pause(seconds)
    return replace(json_reply(completion.whole()), cut=request.fault("cut") is not None)


def _events(service: Service, request: Request, completion: Completion, seconds: float) -> Iterator[bytes]:
    slow, cut, broken = request.fault("slow"), request.fault("cut"), request.fault("stream_error")
    chunks = list(completion.chunks())
    service.pause(seconds * _FIRST_TOKEN_SHARE)
    between = seconds * (1.0 - _FIRST_TOKEN_SHARE) / len(chunks)
    for sent, chunk in enumerate(chunks):
        if cut is not None and sent == cut.after:
            raise HangUp
        if broken is not None and sent == broken.after:
            error = replace(broken, status=500).error()
            yield _event(error.body())
            return
        service.pause(between + (slow.between if slow else 0.0))
        yield _event(chunk)
    if cut is not None:
        raise HangUp
    if request.fault("no_done") is None:
        yield b"data: [DONE]\n\n"


def _event(document: object) -> bytes:
    return b"data: " + json.dumps(document, separators=(",", ":")).encode() + b"\n\n"


def _list_stored(service: Service, request: Request) -> Answer:
    query = {**request.query, "order": request.query.get("order", "asc")}
    return json_reply(page(service.stored.all(query), query, ends=True))


def _get_stored(service: Service, _: Request, completion: str) -> Answer:
    return json_reply(service.stored.get(completion))


def _label_stored(service: Service, request: Request, completion: str) -> Answer:
    return json_reply(service.stored.label(completion, request.json().get("metadata")))


def _delete_stored(service: Service, _: Request, completion: str) -> Answer:
    service.stored.delete(completion)
    return json_reply({"id": completion, "object": "chat.completion.deleted", "deleted": True})


def _list_asked(service: Service, request: Request, completion: str) -> Answer:
    query = {**request.query, "order": request.query.get("order", "asc")}
    return json_reply(page(service.stored.messages(completion), query, ends=True))


def _list_models(service: Service, _: Request) -> Answer:
    catalogue = service.catalogue
    data = [catalogue.describe(model) for model in catalogue.all()]
    return json_reply({"object": "list", "data": data})


def _get_model(service: Service, _: Request, model: str) -> Answer:
    return json_reply(service.catalogue.describe(service.catalogue.get(model)))


def _delete_model(service: Service, _: Request, model: str) -> Answer:
    service.catalogue.delete(model)
    return json_reply({"id": model, "object": "model", "deleted": True})


def _create_file(service: Service, request: Request) -> Answer:
    form = read_form(request.headers.get("content-type", ""), request.body)
    return json_reply(service.files.upload(form).to_json())


def _list_files(service: Service, request: Request) -> Answer:
    purpose = request.query.get("purpose")
    files = [f.to_json() for f in service.files.all() if purpose in (None, f.purpose)]
    return json_reply(page(files, request.query, limit=10_000, most=10_000, ends=True))


def _get_file(service: Service, _: Request, file_id: str) -> Answer:
    return json_reply(service.files.get(file_id).to_json())


def _get_content(service: Service, _: Request, file_id: str) -> Answer:
    return Reply(200, service.files.content(file_id), "application/octet-stream")


def _delete_file(service: Service, _: Request, file_id: str) -> Answer:
    service.files.delete(file_id)
    return json_reply({"id": file_id, "object": "file", "deleted": True})


def _create_job(service: Service, request: Request) -> Answer:
    return json_reply(service.tuning.create(read_job(request.json())).to_json())


def _list_jobs(service: Service, request: Request) -> Answer:
    return json_reply(page([job.to_json() for job in service.tuning.all()], request.query))


def _get_job(service: Service, _: Request, job_id: str) -> Answer:
    return json_reply(service.tuning.get(job_id).to_json())


def _cancel_job(service: Service, _: Request, job_id: str) -> Answer:
    return json_reply(service.tuning.cancel(job_id).to_json())


def _list_events(service: Service, request: Request, job_id: str) -> Answer:
    return json_reply(page(service.tuning.get(job_id).events[::-1], request.query))


def _list_checkpoints(service: Service, request: Request, job_id: str) -> Answer:
    checkpoints = service.tuning.get(job_id).checkpoints[::-1]
    return json_reply(page(checkpoints, request.query, limit=10, ends=True))


def _list_faults(service: Service, request: Request) -> Answer:
    _check_local(request)
    return json_reply({"object": "list", "data": service.faults.to_json()})


def _add_fault(service: Service, request: Request) -> Answer:
    _check_local(request)
    try:
        fault = fault_from_json(request.json())
    except ValueError as error:
        raise invalid(str(error)) from error
    service.faults.order(fault)
    return json_reply(asdict(fault))


def _clear_faults(service: Service, request: Request) -> Answer:
    _check_local(request)
    service.faults.clear()
    return json_reply({"object": "list", "data": []})


def _list_requests(service: Service, request: Request) -> Answer:
    _check_local(request)
    data = [{**asdict(seen), "headers": dict(seen.headers)} for seen in service.requests]
    return json_reply({"object": "list", "data": data})


def _check_local(request: Request) -> None:
    if not request.local:
        raise ApiError(403, "Only this machine may do that.")


def _route(method: str, path: str, on: str, answer: Callable[..., Answer]) -> Route:
    pattern = re.sub(r"\\\{\w+\\\}", "([^/]+)", re.escape(path))
    return Route(method, re.compile(pattern), on, answer)


_CHAT = "/v1/chat/completions"
_JOBS = "/v1/fine_tuning/jobs"
ROUTES = (
    _route("POST", _CHAT, "chat", _create_chat),
    _route("POST", "/openai/deployments/{model}/chat/completions", "chat", _create_chat),
    _route("GET", _CHAT, "stored", _list_stored),
    _route("GET", _CHAT + "/{completion}", "stored", _get_stored),
    _route("POST", _CHAT + "/{completion}", "stored", _label_stored),
    _route("DELETE", _CHAT + "/{completion}", "stored", _delete_stored),
    _route("GET", _CHAT + "/{completion}/messages", "stored", _list_asked),
    _route("GET", "/v1/models", "models", _list_models),
    _route("GET", "/v1/models/{model}", "models", _get_model),
    _route("DELETE", "/v1/models/{model}", "models", _delete_model),
    _route("POST", "/v1/files", "files", _create_file),
    _route("GET", "/v1/files", "files", _list_files),
    _route("GET", "/v1/files/{file}", "files", _get_file),
    _route("GET", "/v1/files/{file}/content", "files", _get_content),
    _route("DELETE", "/v1/files/{file}", "files", _delete_file),
    _route("POST", _JOBS, "jobs.create", _create_job),
    _route("GET", _JOBS, "jobs", _list_jobs),
    _route("GET", _JOBS + "/{job}", "jobs", _get_job),
    _route("POST", _JOBS + "/{job}/cancel", "jobs", _cancel_job),
    _route("GET", _JOBS + "/{job}/events", "jobs", _list_events),
    _route("GET", _JOBS + "/{job}/checkpoints", "jobs", _list_checkpoints),
    _route("GET", "/lab/faults", "lab", _list_faults),
    _route("POST", "/lab/faults", "lab", _add_fault),
    _route("DELETE", "/lab/faults", "lab", _clear_faults),
    _route("GET", "/lab/requests", "lab", _list_requests),
)
