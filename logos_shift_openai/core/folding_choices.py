"""What chat and legacy completions share: chunks with numbered choices, and members beside them.

Rule: the answer says what its chunks said and no more; a member the stream never mentioned is not made up.
"""

from __future__ import annotations

from typing import Any

from .deltas import Object, merge_logprobs

_NOISE = frozenset({"choices", "object", "obfuscation"})
_CHOICE_NOISE = frozenset({"index", "delta", "message", "text", "logprobs", "finish_reason", "content_filter_offsets"})
_FIRST_COUNTS = frozenset({"id", "created", "model"})


class Head:
    """The members of the answer beside its choices: the last value that says something counts, of some the first."""

    def __init__(self) -> None:
        """Begin with nothing."""
        self._members: Object = {}

    def take(self, chunk: Object) -> None:
        """Take what a chunk says beside its choices."""
        members = self._members
        for key, value in chunk.items():
            if key in _NOISE:
                continue
            if _says_nothing(value) or (key in _FIRST_COUNTS and members.get(key)):
                members.setdefault(key, value)
            else:
                members[key] = value

    def usage(self, chunk: Object) -> None:
        """Take the usage alone."""
        if chunk.get("usage"):
            self._members["usage"] = chunk["usage"]

    def answer(self, kind: str, choices: list[Object]) -> Object:
        """Give the whole, `choices` in their place and no usage where none came."""
        members = dict(self._members)
        if members.get("usage") is None:
            members.pop("usage", None)
        first: Object = {key: members.pop(key) for key in ("created", "model") if key in members}
        return {"id": members.pop("id", ""), "object": kind, **first, "choices": choices, **members}


def _says_nothing(value: object) -> bool:
    """Say whether a value is null or empty: Azure sends chunks with "" for id and model, and 0 for created."""
    return not value and value is not False


class Choice:
    """One choice so far. What it says, `message` or `text`, is its subclass's affair."""

    def __init__(self, index: int) -> None:
        """Begin the choice of that index."""
        self.index = index
        self.finish_reason: str | None = None
        self._rest: Object = {}
        self._logprobs: Object = {}

    def take(self, choice: Object) -> None:
        """Take a chunk's part of the choice."""
        reason = choice.get("finish_reason")
        if isinstance(reason, str) and reason:
            self.finish_reason = reason
        if "logprobs" in choice:
            logprobs = choice["logprobs"]
            before = self._logprobs.setdefault("logprobs", None)
            if isinstance(logprobs, dict):
                self._logprobs["logprobs"] = before = before if before is not None else {}
                merge_logprobs(before, logprobs)
        for key, value in choice.items():
            if key not in _CHOICE_NOISE:
                self._take_member(key, value)

    def said(self) -> Object:
        """Give what the choice says."""
        raise NotImplementedError

    def answer(self) -> Object:
        """Give the choice as an unstreamed answer has it."""
        return {
            "index": self.index,
            **self.said(),
            **self._logprobs,
            "finish_reason": self.finish_reason,
            **self._rest,
        }

    def _take_member(self, key: str, value: Any) -> None:
        before = self._rest.get(key)
        if isinstance(value, dict) and isinstance(before, dict):
            before.update(value)
        elif value is not None or key not in self._rest:
            self._rest[key] = value


class ChoicesFold:
    """An answer of numbered choices so far."""

    kind: str
    """The `object` of the unstreamed answer."""

    choice: type[Choice]

    def __init__(self) -> None:
        """Begin with nothing."""
        self._head = Head()
        self._choices: dict[int, Choice] = {}
        self._begun = False

    def take(self, event: Object, name: str) -> None:  # noqa: ARG002 - these streams name no events
        """Take a chunk."""
        self._begun = True
        self._head.take(event)
        choices = event.get("choices")
        for place, choice in enumerate(choices if isinstance(choices, list) else ()):
            if isinstance(choice, dict):
                index = _index(choice, place)
                if index not in self._choices:
                    self._choices[index] = self.choice(index)
                self._choices[index].take(choice)

    def usage(self, event: Object) -> None:
        """Take the usage of a chunk the caller did not get."""
        self._head.usage(event)

    def result(self) -> Object | None:
        """Give the answer, or None where no chunk came."""
        if not self._begun:
            return None
        return self._head.answer(self.kind, [self._choices[index].answer() for index in sorted(self._choices)])

    def finished(self, choices: int) -> bool:
        """Say whether the choices seen have no gap, are as many as were asked for, and have all ended."""
        seen = self._choices
        if len(seen) < max(choices, 1) or sorted(seen) != list(range(len(seen))):
            return False
        return all(choice.finish_reason is not None for choice in seen.values())

    def failed(self) -> Object | None:
        """No chunk of these brings an error beside those every stream may bring."""
        return None


def _index(choice: Object, place: int) -> int:
    index = choice.get("index")
    return index if isinstance(index, int) and not isinstance(index, bool) else place
