"""A candidate's request, made of the one that the baseline would get: its model, its parameters, its prompt."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .config import Candidate


def changed_for(candidate: Candidate, body: Mapping[str, Any]) -> dict[str, Any]:
    """Make a candidate's body of the baseline's, which stays as it is."""
    params = candidate.params
    dropped = frozenset(params.drop)
    new = {params.rename.get(key, key): value for key, value in body.items() if key not in dropped}
    new.update(params.set)
    new["model"] = candidate.model
    if candidate.gate is not None:
        new["logprobs"] = True
    if candidate.prune and isinstance(new.get("messages"), list):
        new["messages"] = pruned(new["messages"], candidate.prune)
    return new


def pruned(messages: list[Any], texts: tuple[str, ...]) -> list[Any]:
    """Take constant system texts out of the messages; a message left with nothing goes too."""
    kept = []
    for message in messages:
        if isinstance(message, dict) and message.get("role") in {"system", "developer"}:
            content = message.get("content")
            if isinstance(content, str):
                for text in texts:
                    content = content.replace(text, "")
                if not content.strip():
                    continue
                message = {**message, "content": content}  # noqa: PLW2901 - the caller's own stays as it is
        kept.append(message)
    return kept
