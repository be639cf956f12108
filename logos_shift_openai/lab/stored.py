"""Stored completions: those asked for with ``store: true``, to be listed, read, labelled and deleted later.

Owns ``StoredCompletions``, the JSON of a stored completion and that of the messages it was asked with. They are kept in
memory only; of more than ``MOST`` the oldest go.
"""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Final

from .errors import ApiError, invalid, wrong_type
from .features import text_of

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .completion import Completion

Json = dict[str, object]

MOST: Final = 10_000
_MOST_PAIRS, _LONGEST_KEY, _LONGEST_VALUE = 16, 64, 512
_KEPT: Final = {
    "tools": None,
    "tool_choice": None,
    "response_format": None,
    "seed": None,
    "temperature": 1.0,
    "top_p": 1.0,
    "presence_penalty": 0.0,
    "frequency_penalty": 0.0,
    "metadata": None,
}
"""Parameters of the request that OpenAI gives back with a stored completion, and what they are where not set."""


class StoredCompletions:
    """All that are stored, safe to use from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[Json, list[Json]]] = {}

    def keep(self, completion: Completion, body: Mapping[str, object]) -> None:
        """Store a completion with the body it was asked with.

        Raises:
            ApiError: 400, the body's metadata are no labels.
        """
        check_metadata(body.get("metadata"))
        asked = {name: body.get(name, usual) for name, usual in _KEPT.items()}
        document = {**completion.whole(), "input_user": body.get("user"), **asked}
        messages = body.get("messages")
        listed = [_message(completion.id, place, one) for place, one in enumerate(_list(messages))]
        with self._lock:
            self._kept[completion.id] = (document, listed)
            while len(self._kept) > MOST:
                del self._kept[next(iter(self._kept))]

    def all(self, query: Mapping[str, str]) -> list[Json]:
        """List those of the query's ``model`` and ``metadata[key]``, newest first."""
        labels = {name[9:-1]: value for name, value in query.items() if name.startswith("metadata[")}
        with self._lock:
            found = [document for document, _ in self._kept.values()]
        return [one for one in reversed(found) if _fits(one, query.get("model"), labels)]

    def get(self, completion_id: str) -> Json:
        """Find one.

        Raises:
            ApiError: 404.
        """
        return self._find(completion_id)[0]

    def messages(self, completion_id: str) -> list[Json]:
        """List what one was asked with, the last message first.

        Raises:
            ApiError: 404.
        """
        return self._find(completion_id)[1][::-1]

    def label(self, completion_id: str, metadata: object) -> Json:
        """Replace the metadata of one.

        Raises:
            ApiError: 404, or 400 for metadata that are no labels.
        """
        document, messages = self._find(completion_id)
        check_metadata(metadata)
        changed = {**document, "metadata": metadata}
        with self._lock:
            self._kept[completion_id] = (changed, messages)
        return changed

    def delete(self, completion_id: str) -> None:
        """Remove one.

        Raises:
            ApiError: 404.
        """
        self._find(completion_id)
        with self._lock:
            self._kept.pop(completion_id, None)

    def _find(self, completion_id: str) -> tuple[Json, list[Json]]:
        with self._lock:
            found = self._kept.get(completion_id)
        if found is None:
            raise ApiError(404, f"Chat completion with id '{completion_id}' not found.", param="completion_id")
        return found


def check_metadata(metadata: object) -> None:
    """Refuse metadata that are not up to 16 pairs of short texts.

    Raises:
        ApiError: 400.
    """
    if metadata is None:
        return
    if not isinstance(metadata, dict):
        raise wrong_type("metadata", "an object", metadata)
    if len(metadata) > _MOST_PAIRS:
        raise invalid(f"Invalid 'metadata': at most {_MOST_PAIRS} pairs.", "metadata")
    for key, value in metadata.items():
        if not isinstance(value, str):
            raise wrong_type(f"metadata.{key}", "a string", value)
        if len(key) > _LONGEST_KEY or len(value) > _LONGEST_VALUE:
            message = f"Invalid 'metadata': keys up to {_LONGEST_KEY} and values up to {_LONGEST_VALUE} characters."
            raise invalid(message, "metadata")


def _message(completion_id: str, place: int, message: object) -> Json:
    said = message if isinstance(message, dict) else {}
    parts = said.get("content") if isinstance(said.get("content"), list) else None
    content = text_of(parts) if parts is not None else said.get("content")
    return {**said, "id": f"{completion_id}-{place}", "content": content, "content_parts": parts}


def _fits(document: Json, model: str | None, labels: Mapping[str, str]) -> bool:
    said = document["metadata"] if isinstance(document["metadata"], dict) else {}
    return model in (None, document["model"]) and all(said.get(key) == value for key, value in labels.items())


def _list(value: object) -> list[object]:
    return value if isinstance(value, list) else []
