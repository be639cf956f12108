"""One fine-tuning job: its request, its state and its JSON.

Owns the ``Job`` value and the strict reading of ``POST /v1/fine_tuning/jobs``. A job only changes through
``tuning``.
"""

from __future__ import annotations

import re
import secrets
import time
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Literal

from .catalogue import TUNABLE
from .errors import invalid, missing, wrong_type

if TYPE_CHECKING:
    from collections.abc import Mapping

Json = dict[str, object]
Status = Literal["validating_files", "queued", "running", "succeeded", "failed", "cancelled"]
FINAL = ("succeeded", "failed", "cancelled")

_KNOWN = frozenset(
    [
        "model",
        "training_file",
        "validation_file",
        "hyperparameters",
        "method",
        "suffix",
        "seed",
        "integrations",
        "metadata",
    ]
)
_HYPERPARAMETERS = {
    "n_epochs": (1, 50),
    "batch_size": (1, 256),
    "learning_rate_multiplier": (0.01, 10.0),
}
_LONGEST_SUFFIX = 64


@dataclass
class Job:
    """A job; ``hyperparameters`` holds numbers, or "auto" until the run has chosen them."""

    model: str
    training_file: str
    validation_file: str | None
    hyperparameters: dict[str, int | float | str]
    suffix: str | None
    seed: int
    metadata: dict[str, object] | None
    id: str = field(default_factory=lambda: f"ftjob-{secrets.token_hex(12)}")
    created_at: int = field(default_factory=lambda: int(time.time()))
    status: Status = "validating_files"
    finished_at: int | None = None
    fine_tuned_model: str | None = None
    trained_tokens: int | None = None
    error: Json | None = None
    result_files: list[str] = field(default_factory=list)
    events: list[Json] = field(default_factory=list)  # oldest first
    checkpoints: list[Json] = field(default_factory=list)  # oldest first

    def to_json(self) -> Json:
        """Describe the job as ``/v1/fine_tuning/jobs`` does."""
        return {
            "object": "fine_tuning.job",
            "id": self.id,
            "model": self.model,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
            "fine_tuned_model": self.fine_tuned_model,
            "organization_id": "org-lab",
            "result_files": list(self.result_files),
            "status": self.status,
            "validation_file": self.validation_file,
            "training_file": self.training_file,
            "hyperparameters": dict(self.hyperparameters),
            "method": {
                "type": "supervised",
                "supervised": {"hyperparameters": dict(self.hyperparameters)},
            },
            "trained_tokens": self.trained_tokens,
            "error": self.error,
            "user_provided_suffix": self.suffix,
            "seed": self.seed,
            "estimated_finish": None,
            "integrations": [],
            "metadata": self.metadata,
        }

    def to_storage(self) -> Json:
        """Give everything, events and checkpoints too; ``Job(**stored)`` reads it back."""
        return dict(asdict(self))

    def event(self, message: str, level: str = "info", data: Json | None = None) -> None:
        """Note what happened; with ``data`` it is a "metrics" event."""
        self.events.append(
            {
                "object": "fine_tuning.job.event",
                "id": f"ftevent-{secrets.token_hex(12)}",
                "created_at": int(time.time()),
                "level": level,
                "message": message,
                "type": "message" if data is None else "metrics",
                "data": data or {},
            }
        )


def read_job(body: Mapping[str, object]) -> Job:
    """Read and check the body of a create request.

    Raises:
        ApiError: 400 with the field at fault.
    """
    unknown = next((name for name in body if name not in _KNOWN), None)
    if unknown is not None:
        raise invalid(f"Unknown parameter: '{unknown}'.", unknown, "unknown_parameter")
    model = _text(body, "model")
    training_file = _text(body, "training_file")
    if model is None:
        raise missing("model")
    if training_file is None:
        raise missing("training_file")
    if model not in TUNABLE:
        message = f"Model {model} is not available for fine-tuning or does not exist."
        raise invalid(message, "model", "model_not_available")
    metadata = body.get("metadata")
    if metadata is not None and not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    return Job(
        model=model,
        training_file=training_file,
        validation_file=_text(body, "validation_file"),
        hyperparameters=_hyperparameters(body),
        suffix=_suffix(_text(body, "suffix")),
        seed=_seed(body.get("seed")),
        metadata=metadata,
    )


def _text(body: Mapping[str, object], name: str) -> str | None:
    value = body.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str):
        raise wrong_type(name, "a string", value)
    return value


def _suffix(value: str | None) -> str | None:
    if value is not None and not re.fullmatch(rf"[A-Za-z0-9._ -]{{1,{_LONGEST_SUFFIX}}}", value):
        message = f"Invalid 'suffix': expected up to {_LONGEST_SUFFIX} letters, digits, '.', '_', '-' or blanks."
        raise invalid(message, "suffix")
    return value


def _seed(value: object) -> int:
    if value is None:
        return secrets.randbelow(2**31)
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type("seed", "an integer", value)
    return value


def _hyperparameters(body: Mapping[str, object]) -> dict[str, int | float | str]:
    method, where = body.get("method"), "hyperparameters"
    given: object = body.get("hyperparameters")
    if method is not None:
        if not isinstance(method, dict):
            raise wrong_type("method", "an object", method)
        if method.get("type") != "supervised":
            message = f"Invalid value: '{method.get('type')}'. Supported values are: 'supervised'."
            raise invalid(message, "method.type", "invalid_value")
        supervised = method.get("supervised") or {}
        if not isinstance(supervised, dict):
            raise wrong_type("method.supervised", "an object", supervised)
        where = "method.supervised.hyperparameters"
        given = supervised.get("hyperparameters", given)
    if given is None:
        given = {}
    if not isinstance(given, dict):
        raise wrong_type(where, "an object", given)
    unknown = next((name for name in given if name not in _HYPERPARAMETERS), None)
    if unknown is not None:
        raise invalid(f"Unknown parameter: '{where}.{unknown}'.", f"{where}.{unknown}", "unknown_parameter")
    return {name: _hyperparameter(where, name, given.get(name, "auto")) for name in _HYPERPARAMETERS}


def _hyperparameter(where: str, name: str, value: object) -> int | float | str:
    low, high = _HYPERPARAMETERS[name]
    whole = isinstance(low, int)
    if value == "auto" and isinstance(value, str):
        return value
    if isinstance(value, bool) or not isinstance(value, int if whole else (int, float)):
        raise wrong_type(f"{where}.{name}", "'auto' or " + ("an integer" if whole else "a decimal"), value)
    number = value if isinstance(value, int | float) else 0
    if not low <= number <= high:
        message = f"Invalid '{where}.{name}': expected a value from {low} to {high}, but got {number} instead."
        raise invalid(message, f"{where}.{name}")
    return number
