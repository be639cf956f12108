"""The models of the lab: which there are, what they cost, when they end, and where tuned ones are kept.

Owns the list behind ``/v1/models``, the fine-tuned models and their files in ``state_dir/models``. Prices are
made up and only there to be reckoned with; the lab charges nothing.
"""

from __future__ import annotations

import json
import logging
import threading
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from .errors import ApiError, no_model
from .learnt import Learnt, learnt_from_json
from .storage import file_name, read_json, write_json
from .tiny import Tuned, Untuned

if TYPE_CHECKING:
    from collections.abc import Mapping
    from datetime import date
    from pathlib import Path

    from .odds import Answerer

ORACLE: Final = "oracle-large"
TINY: Final = "tiny-base"
TUNABLE: Final = (TINY,)

_BORN = 1_760_000_000  # the two built-in models, unix seconds
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Price:
    """US dollars for a million tokens in and out."""

    input: float
    output: float

    def cost(self, prompt_tokens: int, completion_tokens: int) -> float:
        """Reckon the price of an answer in US dollars."""
        return (prompt_tokens * self.input + completion_tokens * self.output) / 1_000_000


PRICES: Final[Mapping[str, Price]] = {ORACLE: Price(10.0, 30.0), TINY: Price(0.1, 0.3)}


def price(model: str) -> Price:
    """Look up a model's price; a tuned model costs what its base costs.

    Raises:
        KeyError: The lab has no such model.
    """
    return PRICES[base_of(model)]


def base_of(model: str) -> str:
    """Name the built-in model behind a name: itself, or what ``ft:<base>:...`` was tuned from."""
    return model.split(":")[1] if model.startswith("ft:") and model.count(":") > 1 else model


@dataclass(frozen=True)
class Model:
    """One entry of the list; ``slowness`` multiplies the lab's latency."""

    id: str
    answerer: Answerer
    created: int
    owner: str
    slowness: float

    def to_json(self, shutdown: date | None) -> dict[str, object]:
        """Describe the model as ``/v1/models`` does."""
        cost = price(self.id)
        return {
            "id": self.id,
            "object": "model",
            "created": self.created,
            "owned_by": self.owner,
            "shutdown_date": shutdown.isoformat() if shutdown else None,
            "pricing": {"input_usd_per_million": cost.input, "output_usd_per_million": cost.output},
        }


class Catalogue:
    """All models, safe to use from any thread.

    Args:
        oracle: The scripted model.
        folder: Where tuned models are kept; None keeps them in memory only.
    """

    def __init__(self, oracle: Answerer, folder: Path | None = None) -> None:
        self._lock = threading.Lock()
        self._folder = folder
        self._shutdowns: dict[str, date] = {}
        self._models = {
            ORACLE: Model(ORACLE, oracle, _BORN, "lab", 1.0),
            TINY: Model(TINY, Untuned(), _BORN, "lab", 0.1),
        }
        for path in sorted(folder.glob("*.json")) if folder else ():
            self._load(path)

    def get(self, model: str) -> Model:
        """Find a model.

        Raises:
            ApiError: 404, there is none of that name.
        """
        with self._lock:
            found = self._models.get(model)
        if found is None:
            raise no_model(model)
        return found

    def all(self) -> list[Model]:
        """List the models, oldest first."""
        with self._lock:
            return list(self._models.values())

    def describe(self, model: Model) -> dict[str, object]:
        """Give the JSON of one model."""
        with self._lock:
            return model.to_json(self._shutdowns.get(model.id))

    def set_shutdown(self, model: str, day: date | None) -> None:
        """Announce (or take back) the day a model ends; it goes on answering."""
        self.get(model)
        with self._lock:
            if day is None:
                self._shutdowns.pop(model, None)
            else:
                self._shutdowns[model] = day

    def add_tuned(self, name: str, trained: Learnt) -> None:
        """Take in a tuned model, and keep it on disk if there is a folder."""
        created = int(time.time())
        if self._folder:
            document = {"id": name, "created": created, "model": trained.to_json()}
            write_json(self._folder / file_name(name), document)
        self._put_tuned(name, created, trained)

    def delete(self, model: str) -> None:
        """Remove a tuned model.

        Raises:
            ApiError: 404 for no such model, 403 for a built-in one.
        """
        self.get(model)
        if not model.startswith("ft:"):
            raise ApiError(403, f"The model {model} is built in and cannot be deleted.")
        with self._lock:
            self._models.pop(model, None)
        if self._folder:
            (self._folder / file_name(model)).unlink(missing_ok=True)

    def _put_tuned(self, name: str, created: int, trained: Learnt) -> None:
        entry = Model(name, Tuned(trained), created, "lab-tuned", 0.1)
        with self._lock:
            self._models[name] = entry

    def _load(self, path: Path) -> None:
        try:
            stored = read_json(path)
            model = stored["model"]
            if not isinstance(model, dict):
                raise ValueError("no model inside")  # noqa: TRY004, TRY301 - a bad file, not a bad call
            self._put_tuned(str(stored["id"]), int(str(stored["created"])), learnt_from_json(model))
        except (OSError, ValueError, KeyError, json.JSONDecodeError) as error:
            _log.warning("left out %s: %s", path.name, error)
