"""Two providers of the shapes in `fixtures/`, on the loopback: they keep files and jobs as their documents say."""

from __future__ import annotations

import json
import re
import threading
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

FIXTURES = Path(__file__).parent / "fixtures"
KEY = "provider-key-98765"


def read(name):
    return json.loads((FIXTURES / f"{name}.json").read_text(encoding="utf-8"))


class SaidError(Exception):
    """An answer that is not a 200."""

    def __init__(self, status, body=None):
        super().__init__(status)
        self.status, self.body = status, body or {"error": {"message": f"said {status}"}}


class Provider:
    """A server whose `answer(method, path, query, body, form)` gives JSON or raises `SaidError`."""

    def __init__(self):
        self.asked = []
        self.faults = []  # of the next requests that match: (method, part of the path, what to do)
        provider = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self):
                provider.handle(self)

            do_POST = do_DELETE = do_GET  # noqa: N815 - the base class names them

            def log_message(self, *args):
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.thread = threading.Thread(target=self.server.serve_forever, args=(0.02,))
        self.thread.start()
        self.url = f"http://127.0.0.1:{self.server.server_port}"

    def close(self):
        self.server.shutdown()
        self.thread.join()
        self.server.server_close()

    def handle(self, request):
        raw = request.rfile.read(int(request.headers.get("content-length") or 0))
        path, _, query = request.path.partition("?")
        kind = request.headers.get("content-type", "")
        form = _form(kind, raw) if kind.startswith("multipart/") else None
        body = json.loads(raw) if raw and kind.startswith("application/json") else None
        self.asked.append((request.command, path, form if form is not None else body))
        fault = next((one for one in self.faults if one[0] == request.command and one[1] in path), None)
        if fault is not None:
            self.faults.remove(fault)
        try:
            if request.headers.get("authorization") != f"Bearer {KEY}":
                raise SaidError(401, {"error": {"message": "Invalid API key provided"}})
            if fault is not None and isinstance(fault[2], int):
                raise SaidError(fault[2])
            said, status = self.answer(request.command, path, query, body, form), 200
        except SaidError as refused:
            said, status = refused.body, refused.status
        if fault is not None and fault[2] == "cut":
            request.close_connection = True
            return  # done, and never said
        content = json.dumps(said).encode()
        request.send_response(status)
        request.send_header("content-type", "application/json")
        request.send_header("content-length", str(len(content)))
        request.end_headers()
        request.wfile.write(content)

    def sent(self, method, part):
        return [body for asked, path, body in self.asked if asked == method and part in path]


class Together(Provider):
    """Together, of its OpenAPI document."""

    def __init__(self):
        super().__init__()
        self.shapes = read("together-answers")
        self.files, self.jobs, self.state, self.served, self.told = [], [], "running", True, {}
        self.processed = True

    def answer(self, method, path, query, body, form):  # noqa: PLR0911 - a table of paths
        if (method, path) == ("POST", "/v1/files/upload"):
            name = form["file_name"].decode()
            file = {
                **self.shapes["file"],
                "id": f"file-{len(self.files)}",
                "filename": name,
                "bytes": len(form["file"]),
            }
            self.files.append({**file, "Processed": self.processed})
            return self.files[-1]
        if (method, path) == ("GET", "/v1/files"):
            return {"data": self.files}
        if (method, path) == ("POST", "/v1/fine-tunes"):
            job = {**self.shapes["created"], "id": f"ft-{len(self.jobs)}", "training_file": body["training_file"]}
            self.jobs.append({**job, "suffix": body["suffix"]})
            return self.jobs[-1]
        if (method, path) == ("GET", "/v1/fine-tunes"):
            return {"data": self.jobs}
        if path.endswith("/metrics"):
            return self.shapes["metrics"]
        if path.endswith("/cancel"):
            self.state = "cancelled"
            return {**self.shapes["running"], "status": "cancelled"}
        if path.startswith("/v1/fine-tunes/"):
            return {**self.shapes.get(self.state, self.shapes["running"]), "status": self.state, **self.told}
        if path == "/v1/chat/completions" and self.served:
            return {"choices": [{"message": {"role": "assistant", "content": "pong"}}], "model": body["model"]}
        raise SaidError(404, {"error": {"message": "Unable to access model"}})


class Fireworks(Provider):
    """Fireworks, of its docs: ids are the caller's, and one that is there already is a 409."""

    def __init__(self):
        super().__init__()
        self.shapes = read("fireworks-answers")
        self.datasets, self.jobs, self.state, self.served = {}, {}, "JOB_STATE_RUNNING", True

    def answer(self, method, path, query, body, form):
        account = "accounts/acme"
        if (method, path) == ("POST", f"/v1/{account}/datasets"):
            self._new(
                self.datasets,
                f"{account}/datasets/{body['datasetId']}",
                {**self.shapes["dataset"], "state": "UPLOADING"},
            )
            return {}
        if method == "POST" and path.endswith(":upload"):
            self.datasets[path[4:].removesuffix(":upload")]["state"] = "READY"
            return {"filename": "x", "message": "ok"}
        made = re.fullmatch(rf"/v1/({account}/(?:supervisedFineTuningJobs|dpoJobs))", path)
        if method == "POST" and made:
            job_id = query.partition("=")[2]
            return self._new(self.jobs, f"{made[1]}/{job_id}", {**self.shapes["job"], **body})
        if method == "POST" and path.endswith(":cancel"):
            self.state = "JOB_STATE_CANCELLED"
            return {}
        if path == "/inference/v1/chat/completions" and self.served:
            return {"choices": [{"message": {"role": "assistant", "content": "pong"}}], "model": body["model"]}
        found = self.datasets.get(path[4:]) or self.jobs.get(path[4:])
        if found is None:
            raise SaidError(404, {"error": {"message": "not found", "code": 5}})
        return {**found, "state": self.state} if "Jobs/" in path else found

    def _new(self, where, name, value):
        if name in where:
            raise SaidError(409, {"error": {"message": "already exists", "code": 6}})
        where[name] = {**value, "name": name}
        return where[name]


def _form(kind, raw):
    head = Message()
    head["content-type"] = kind
    parts = {}
    for part in raw.split(b"--" + head.get_param("boundary").encode())[1:-1]:
        headers, _, content = part[2:-2].partition(b"\r\n\r\n")
        parts[re.search(rb'name="([^"]+)"', headers)[1].decode()] = content
    return parts
