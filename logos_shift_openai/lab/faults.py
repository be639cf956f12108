"""Faults on order: what the lab is told to do wrong, for tests of whoever talks to it.

Owns the kinds of faults, how they are written (Python, ``POST /lab/faults``, the header ``X-Lab-Fault``),
which requests they hit, and how often. Acting on them is up to the parts that answer.
"""

from __future__ import annotations

import json
import random
import threading
from dataclasses import asdict, dataclass, fields, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

from .errors import ApiError

if TYPE_CHECKING:
    from collections.abc import Mapping

HEADER = "x-lab-fault"


@dataclass(frozen=True)
class Fault:
    """One fault.

    Attributes:
        kind: A name out of ``KINDS``.
        on: Which requests: "chat", "models", "stored", "files", "jobs", "jobs.create", or "*" for them all; or
            "tuning", a job at work.
        model: Glob on the requested model.
        status: HTTP status of an error answer.
        message: Its text ("" = the kind's own).
        code: Its code.
        type: Its type.
        retry_after: Seconds to name in Retry-After; None sends no such header.
        count: How many requests it hits; None means all.
        rate: Share of the matching requests it hits, 0 to 1.
        before: Seconds to wait before the answer's headers (kind "slow").
        between: Seconds to wait before each chunk of a stream, or step of a tuning job (kind "slow").
        after: Chunks sent before a stream breaks, or steps trained before a job fails.
    """

    kind: str
    on: str = "chat"
    model: str = "*"
    status: int = 500
    message: str = ""
    code: str | None = None
    type: str = "invalid_request_error"
    retry_after: float | None = None
    count: int | None = None
    rate: float = 1.0
    before: float = 0.0
    between: float = 0.0
    after: int = 0

    def error(self) -> ApiError:
        """Make the error that a fault of kind "status" answers with."""
        message = self.message or _MESSAGES.get(self.status, "The lab was told to fail.")
        kind, code = self.type, self.code
        if self.status == 429:  # noqa: PLR2004 - HTTP
            kind, code = "requests", code or "rate_limit_exceeded"
        elif self.status >= 500:  # noqa: PLR2004 - HTTP
            kind = "server_error"
        headers = {} if self.retry_after is None else {"Retry-After": f"{self.retry_after:g}"}
        return ApiError(self.status, message, code=code, kind=kind, headers=headers)


_MESSAGES = {
    429: "Rate limit reached for requests. Please try again later.",
    500: "The server had an error while processing your request. Sorry about that!",
    503: "The engine is currently overloaded, please try again later.",
}

# Each kind with its defaults. The last four are "status" with OpenAI's words.
KINDS: Mapping[str, Fault] = {
    "status": Fault("status"),
    "slow": Fault("slow", before=1.0),
    "drop": Fault("drop"),
    "cut": Fault("cut", after=1),
    "no_done": Fault("no_done"),
    "stream_error": Fault("stream_error", after=1, message=_MESSAGES[500]),
    "job_fails": Fault(
        "job_fails",
        on="tuning",
        code="server_error",
        message="The job failed due to an internal error.",
    ),
    "training_not_available": Fault(
        "status",
        on="jobs.create",
        status=403,
        code="training_not_available",
        message="OpenAI is winding down the fine-tuning platform and your organization is no longer able to "
        "create new fine-tuning training jobs.",
    ),
    "model_gone": Fault(
        "status",
        status=404,
        code="model_not_found",
        message="The model does not exist or you do not have access to it.",
    ),
    "content_policy": Fault(
        "status",
        status=400,
        code="content_policy_violation",
        message="Your request was rejected as a result of our safety system.",
    ),
}
_OPTIONS = {field.name for field in fields(Fault)} - {"kind"}
_NUMBERS = {
    "rate": (0.0, 1.0),
    "before": (0.0, 3600.0),
    "between": (0.0, 3600.0),
    "retry_after": (0.0, 86400.0),
}
_WHOLES = {"status": (400, 599), "count": (1, 1_000_000_000), "after": (0, 1_000_000_000)}
_PLACES = ("chat", "models", "stored", "files", "jobs", "jobs.create", "tuning", "*")
_OPTIONAL = {"count", "code", "retry_after"}


def make_fault(kind: str, options: Mapping[str, object]) -> Fault:
    """Make a fault from its kind and options, strictly.

    Raises:
        ValueError: Names the kind or option at fault and what it takes.
    """
    if kind not in KINDS:
        raise ValueError(f"kind: {kind!r} is none of {', '.join(KINDS)}")
    unknown = sorted(set(options) - _OPTIONS)
    if unknown:
        raise ValueError(f"{unknown[0]}: no such option; there are {', '.join(sorted(_OPTIONS))}")
    for name, value in options.items():
        _check_option(name, value)
    return replace(KINDS[kind], **options)  # type: ignore[arg-type]


def fault_from_header(value: str) -> Fault:
    """Read a fault out of ``X-Lab-Fault``: a bare kind, a status such as ``429``, or a JSON object.

    Raises:
        ValueError: What is wrong with it.
    """
    text = value.strip()
    if text.isdecimal():
        return make_fault("status", {"status": int(text)})
    return fault_from_json(json.loads(text)) if text.startswith("{") else make_fault(text, {})


def fault_from_json(document: object) -> Fault:
    """Read a fault out of ``{"kind": ..., option: value, ...}``.

    Raises:
        ValueError: What is wrong with it.
    """
    if not isinstance(document, dict):
        raise ValueError("a fault is a JSON object")  # noqa: TRY004 - bad input, not a bad call
    return make_fault(str(document.get("kind")), {k: v for k, v in document.items() if k != "kind"})


class Faults:
    """The faults on order, safe to use from any thread; ``rate`` rolls seeded dice."""

    def __init__(self, seed: int = 0) -> None:
        self._lock = threading.Lock()
        self._dice = random.Random(seed)  # noqa: S311 - a test's coin, no secret
        self._orders: list[list[Fault]] = []  # each a box of one, so that equal faults stay apart

    def add(self, kind: str, **options: object) -> Fault:
        """Order a fault: ``faults.add("status", status=429, count=2, model="tiny-base*")``.

        Args:
            kind: A name out of ``KINDS``.
            **options: Attributes of ``Fault``.

        Raises:
            ValueError: Names what is wrong and what would be right.
        """
        fault = make_fault(kind, options)
        self.order(fault)
        return fault

    def order(self, fault: Fault) -> None:
        """Order a fault that is already made."""
        with self._lock:
            self._orders.append([fault])

    def clear(self) -> None:
        """Take back every order."""
        with self._lock:
            self._orders.clear()

    def active(self) -> list[Fault]:
        """List the orders with what is left of their counts."""
        with self._lock:
            return [box[0] for box in self._orders]

    def take(self, on: str, model: str = "") -> list[Fault]:
        """Tell which faults hit this request, and count them down.

        Only the first of several "status" faults is taken, the others wait for the next request.
        """
        taken: list[Fault] = []
        with self._lock:
            for box in list(self._orders):
                fault = box[0]
                if not _matches(fault, on, model) or any(t.kind == fault.kind for t in taken):
                    continue
                if fault.rate < 1.0 and self._dice.random() >= fault.rate:
                    continue
                taken.append(fault)
                if fault.count is not None:
                    box[0] = replace(fault, count=fault.count - 1)
                    if box[0].count == 0:
                        self._orders.remove(box)
        return taken

    def to_json(self) -> list[dict[str, object]]:
        """List the orders as JSON."""
        return [asdict(fault) for fault in self.active()]


def _matches(fault: Fault, on: str, model: str) -> bool:
    here = fault.on in (on, on.partition(".")[0]) or (fault.on == "*" and on != "tuning")
    return here and fnmatchcase(model, fault.model)


def _check_option(name: str, value: object) -> None:
    if value is None and name in _OPTIONAL:
        return
    if name in _NUMBERS or name in _WHOLES:
        low, high = _NUMBERS.get(name) or _WHOLES[name]
        types: tuple[type, ...] = (int,) if name in _WHOLES else (int, float)
        if isinstance(value, bool) or not isinstance(value, types) or not low <= value <= high:  # type: ignore[operator]
            raise ValueError(f"{name}: {value!r} is not a number in {low:g}..{high:g}")
    elif not isinstance(value, str):
        raise ValueError(f"{name}: {value!r} is not a text")
    elif name == "on" and value not in _PLACES:
        raise ValueError(f"on: {value!r} is none of {', '.join(_PLACES)}")
