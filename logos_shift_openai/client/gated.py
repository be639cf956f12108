"""The confidence gate on the caller's thread: an answer that the candidate is not sure enough of never reaches him.

An unstreamed answer is judged as it is parsed. A stream has no confidence before its end, so it is held until then and
given out at once; where it does not pass, the baseline's stream takes its place. Log-probabilities that the caller did
not ask for are taken out again.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import openai

from logos_shift_openai.core.gate import confidences, least_sure

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from logos_shift_openai.core.gate import Gate

    from .call import Call

_TOKENS = ("prompt_tokens", "completion_tokens")
_UNREAD = -1  # stands for a choice that could not be read


class NotSureError(Exception):
    """The candidate is not sure enough of its answer; recorded, and answered by the baseline."""


def gated(call: Call, gate: Gate, parser: Callable[[Any], Any]) -> Callable[[Any], Any]:
    """Let through to a parser only what passes the gate.

    Args:
        call: The call, at its candidate's attempt.
        gate: The candidate's.
        parser: What comes after: it notes the answer and gives it to the caller.
    """
    asked = bool(call.body.get("logprobs"))
    call.hides_logprobs = not asked

    def judged(parsed: Any) -> Any:
        if isinstance(parsed, openai.Stream):
            parsed._iterator = _held(call, gate, asked, parsed._iterator)  # noqa: SLF001 - as `streams.adopt` does
        elif isinstance(parsed, openai.AsyncStream):
            parsed._iterator = _held_async(call, gate, asked, parsed._iterator)  # noqa: SLF001
        else:
            answers = _Answers(asked)
            answers.take(parsed)
            answers.judge(call, gate)
        return parser(parsed)

    return judged


class _Answers:
    """The tokens' log-probabilities of an answer, by choice, and what it used."""

    def __init__(self, asked: bool) -> None:
        self._asked = asked
        self._found: dict[int, list[float]] = {}
        self._usage: dict[str, int] | None = None

    def take(self, part: Any) -> None:
        """Take in a completion or a chunk of one, and leave in it what the caller asked for.

        What is not made as it should be leaves the answer unsure: it must not raise at the caller's.
        """
        try:
            self._take(part)
        except Exception:  # noqa: BLE001 - a provider may send anything
            self._found[_UNREAD] = []

    def _take(self, part: Any) -> None:
        usage = getattr(part, "usage", None)
        if usage is not None:
            self._usage = {name: getattr(usage, name) for name in _TOKENS}
        for choice in getattr(part, "choices", None) or ():
            told = choice.logprobs
            tokens = () if told is None else told.content or getattr(told, "refusal", None) or ()
            self._found.setdefault(choice.index, []).extend(one.logprob for one in tokens)
            if not self._asked and told is not None:
                choice.logprobs = None

    def judge(self, call: Call, gate: Gate) -> None:
        """Note how sure the candidate is.

        Raises:
            NotSureError: it is not sure enough, or did not say.
        """
        sure = least_sure(map(confidences, self._found.values()))
        passed = gate.passes(sure)
        call.gate = {"passed": passed, **(sure or {})}
        if not passed:
            # What it took stands in no answer: the one that is kept is the baseline's.
            experiment = call.route.experiment
            if experiment is not None:
                call.gate.update(model=experiment.candidate.model, provider=experiment.candidate.provider)
            if self._usage is not None:
                call.gate["usage"] = self._usage
            reached = "no log-probabilities came" if sure is None else f"{gate.by} {sure[gate.by]:.4g}"
            raise NotSureError(f"{reached}; the gate asks for {gate.by} {gate.least:.4g}")


def _held(call: Call, gate: Gate, asked: bool, source: Any) -> Iterator[Any]:
    answers, chunks = _Answers(asked), []
    try:
        for chunk in source:
            answers.take(chunk)
            chunks.append(chunk)
    finally:
        source.close()
    answers.judge(call, gate)
    call.released()
    yield from chunks


async def _held_async(call: Call, gate: Gate, asked: bool, source: Any) -> AsyncIterator[Any]:
    answers, chunks = _Answers(asked), []
    try:
        async for chunk in source:
            answers.take(chunk)
            chunks.append(chunk)
    finally:
        await source.aclose()
    answers.judge(call, gate)
    call.released()
    for chunk in chunks:
        yield chunk
