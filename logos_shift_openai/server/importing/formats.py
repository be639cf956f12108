"""The formats that are read: one function each, from an entry of a file to an `Imported`.

Sources: OpenAI, *Supervised fine-tuning* (chat JSONL) and *List chat completions* (stored completions, with the answer
of *Get chat messages* under `messages`); Langfuse, *Observations* of the public API and its exports; LangChain, *Run
(span) data format* of LangSmith.
"""

from __future__ import annotations

import json
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from .imported import Imported, NotImportableError, Said, count_of, duration, moment, text_of, usage_of
from .messages import message_of, messages_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

_ASKED: Final = (
    *("tools", "tool_choice", "response_format", "temperature", "top_p", "max_tokens", "max_completion_tokens", "stop"),
    *("frequency_penalty", "presence_penalty", "parallel_tool_calls", "reasoning_effort", "seed", "n"),
)
"""Parameters of a request that are kept where a source has them."""


def chat(entry: Any, now: int) -> Imported:
    """Read a line of chat JSONL: `messages`, the last one the answer, and what else a request has.

    Args:
        entry: The line's value; `model`, `id`, `at`, `user_id`, `metadata` and `feedback` (0 to 1) may stand beside.
        now: When it was, in milliseconds since 1970, where it does not say so; the same for the same file, or what is
            imported twice is there twice.

    Raises:
        NotImportableError: it is no conversation with an answer.
    """
    data = _object(entry)
    messages = messages_of(data.get("messages"), "messages")
    if len(messages) < 2 or messages[-1]["role"] != "assistant":  # noqa: PLR2004 - a question and its answer
        raise NotImportableError("messages: the last one is not the assistant's, so there is no answer")
    model, feedback = text_of(data.get("model")), data.get("feedback")
    metadata = data.get("metadata")
    said = (Said(value=_score(feedback)),) if feedback is not None else ()
    return Imported(
        source_id=text_of(data.get("id")) or _digest(data),
        at=moment(data["at"], "at") if data.get("at") is not None else now,
        request=_request(model, messages[:-1], data),
        message=messages[-1],
        model=model,
        user_id=text_of(data.get("user_id")) or text_of(data.get("user")),
        conversation_id=text_of(data.get("conversation_id")),
        metadata=metadata if isinstance(metadata, dict) else {},
        said=said,
    )


def stored(entry: Any, _now: int) -> Imported:
    """Read a stored completion of OpenAI, with what was asked under `messages`.

    Raises:
        NotImportableError: it lacks one of the two.
    """
    data = _object(entry)
    choices = data.get("choices")
    if not isinstance(choices, list) or not choices or not isinstance(choices[0], dict):
        raise NotImportableError("choices: there is none")
    asked = data.get("messages")
    if isinstance(asked, dict):
        asked = asked.get("data")
    model, usage = text_of(data.get("model")), data.get("usage")
    usage = usage if isinstance(usage, dict) else {}
    metadata = data.get("metadata")
    return Imported(
        source_id=_id_of(data),
        at=moment(data.get("created"), "created"),
        request=_request(model, messages_of(asked, "messages"), data),
        message=message_of(choices[0].get("message"), "choices[0].message", "assistant"),
        model=model,
        finish_reason=text_of(choices[0].get("finish_reason")),
        usage=usage_of(usage.get("prompt_tokens"), usage.get("completion_tokens")),
        user_id=text_of(data.get("input_user")),
        metadata=metadata if isinstance(metadata, dict) else {},
    )


def langfuse(entry: Any, _now: int) -> Imported:
    """Read an observation of Langfuse that is a generation.

    Raises:
        NotImportableError: it is of another type, or has no conversation.
    """
    data = {_camel(name): value for name, value in _object(entry).items()}
    kind = str(data.get("type") or "GENERATION").upper()
    if kind != "GENERATION":
        raise NotImportableError(f"type: {kind} is no GENERATION")
    asked = _parsed(data.get("input"))
    messages = asked.get("messages") if isinstance(asked, dict) and "messages" in asked else asked
    at = moment(data.get("startTime"), "startTime")
    model, usage = text_of(data.get("model")) or text_of(data.get("providedModelName")), _usage_of_langfuse(data)
    parameters = {**_dict(_parsed(data.get("modelParameters"))), **(asked if isinstance(asked, dict) else {})}
    failed = str(data.get("level") or "").upper() == "ERROR"
    answer = _parsed(data.get("output"))
    first = data.get("completionStartTime")
    return Imported(
        source_id=_id_of(data),
        at=at,
        request=_request(model, messages_of(messages, "input"), parameters),
        message=None if answer is None else _answer(answer, "output"),
        model=model,
        duration_ms=duration(at, data.get("endTime")),
        first_token_ms=None if first is None else duration(at, first),
        usage=usage,
        user_id=text_of(data.get("userId")),
        conversation_id=text_of(data.get("sessionId")) or text_of(data.get("traceId")),
        metadata=_dict(_parsed(data.get("metadata"))),
        error=(text_of(data.get("statusMessage")) or "failed") if failed else None,
        said=tuple(_scores(data.get("scores"))),
    )


def langsmith(entry: Any, _now: int) -> Imported:
    """Read a run of LangSmith whose type is `llm`.

    Raises:
        NotImportableError: it is of another type, or has no conversation.
    """
    data = _object(entry)
    kind = data.get("run_type", "llm")
    if kind != "llm":
        raise NotImportableError(f"run_type: {kind!r} is not 'llm'")
    inputs, outputs, extra = (_dict(_parsed(data.get(name))) for name in ("inputs", "outputs", "extra"))
    asked = inputs.get("messages", inputs.get("prompts", inputs.get("input")))
    invocation = _dict(extra.get("invocation_params"))
    metadata = _dict(extra.get("metadata"))
    at = moment(data.get("start_time"), "start_time")
    names = (inputs.get("model"), invocation.get("model"), invocation.get("model_name"), metadata.get("ls_model_name"))
    model = next((text_of(name) for name in names if text_of(name)), None)
    answer = _answer_of_run(outputs)
    first = data.get("first_token_time")
    thread = metadata.get("thread_id") or metadata.get("session_id") or metadata.get("conversation_id")
    return Imported(
        source_id=_id_of(data),
        at=at,
        request=_request(model, messages_of(asked, "inputs.messages"), {**invocation, **inputs}),
        message=answer,
        model=model,
        duration_ms=duration(at, data.get("end_time")),
        first_token_ms=None if first is None else duration(at, first),
        usage=_usage_of_run(data, outputs),
        conversation_id=text_of(thread) or text_of(data.get("trace_id")),
        user_id=text_of(metadata.get("user_id")),
        metadata={name: value for name, value in metadata.items() if not name.startswith(("ls_", "LANG"))},
        error=text_of(data.get("error")),
        said=tuple(_feedback_of_run(data.get("feedback_stats"))),
    )


FORMATS: Final[Mapping[str, Callable[[Any, int], Imported]]] = {
    "chat": chat,
    "openai": stored,
    "langfuse": langfuse,
    "langsmith": langsmith,
}


def _request(model: str | None, messages: list[dict[str, Any]], also: Mapping[str, Any]) -> dict[str, Any]:
    kept = {name: also[name] for name in _ASKED if also.get(name) is not None}
    return {**({"model": model} if model else {}), "messages": messages, **kept}


def _answer(value: Any, where: str) -> dict[str, Any]:
    """Read an answer: a completion, a list of messages (the last one), one message, or anything else as its text."""
    if isinstance(value, dict) and isinstance(value.get("choices"), list) and value["choices"]:
        value = _dict(value["choices"][0]).get("message")
    if isinstance(value, dict) and isinstance(value.get("messages"), list):
        value = value["messages"]
    if isinstance(value, list) and value:
        value = value[-1]
    if isinstance(value, dict) and not {"role", "content", "tool_calls", "kwargs", "data"} & set(value):
        value = json.dumps(value, ensure_ascii=False)  # an answer in JSON that the source has read already
    message = message_of(value, where, "assistant")
    if message["role"] != "assistant":
        raise NotImportableError(f"{where}: it is the {message['role']}'s, not the assistant's")
    return message


def _answer_of_run(outputs: Mapping[str, Any]) -> dict[str, Any] | None:
    if not outputs:
        return None
    generations = outputs.get("generations")
    while isinstance(generations, list) and generations:
        generations = generations[0]
    if isinstance(generations, dict):
        return _answer(generations.get("message") or generations.get("text"), "outputs.generations")
    named = outputs.get("message") or outputs.get("output")
    return _answer(named if named is not None else dict(outputs), "outputs")


def _usage_of_langfuse(data: Mapping[str, Any]) -> dict[str, int]:
    details, usage = _dict(_parsed(data.get("usageDetails"))), _dict(_parsed(data.get("usage")))
    for one, into, out in (
        (details, "input", "output"),
        (usage, "input", "output"),
        (usage, "promptTokens", "completionTokens"),
    ):
        found = usage_of(one.get(into), one.get(out))
        if found:
            return found
    return usage_of(data.get("promptTokens"), data.get("completionTokens"))


def _usage_of_run(data: Mapping[str, Any], outputs: Mapping[str, Any]) -> dict[str, int]:
    usage = _dict(outputs.get("usage")) or _dict(_dict(outputs.get("llm_output")).get("token_usage"))
    said = _dict(outputs.get("usage_metadata"))
    for one, into, out in (
        (usage, "prompt_tokens", "completion_tokens"),
        (said, "input_tokens", "output_tokens"),
        (data, "prompt_tokens", "completion_tokens"),
    ):
        found = usage_of(count_of(one.get(into)), count_of(one.get(out)))
        if found:
            return found
    return {}


def _scores(value: Any) -> list[Said]:
    """Read Langfuse's scores: numbers from 0 to 1 and truths become a value, a comment stays one."""
    found = []
    for score in value if isinstance(value, list) else ():
        one = _dict(score)
        number, comment = one.get("value"), text_of(one.get("comment"))
        value = float(number) if isinstance(number, (int, float)) and 0 <= number <= 1 else None
        if value is not None or comment:
            found.append(Said(value, comment, by=text_of(one.get("name"))))
    return found


def _feedback_of_run(value: Any) -> list[Said]:
    """Read LangSmith's feedback: the mean of each kind, where it is from 0 to 1."""
    found = []
    for name, stats in _dict(value).items():
        mean = _dict(stats).get("avg")
        if isinstance(mean, (int, float)) and 0 <= mean <= 1:
            found.append(Said(float(mean), by=text_of(name)))
    return found


def _score(value: Any) -> float:
    words = {"success": 1.0, "failure": 0.0}
    if isinstance(value, str) and value in words:
        return words[value]
    if isinstance(value, (bool, int, float)) and 0 <= value <= 1:
        return float(value)
    raise NotImportableError(f"feedback: {value!r} is neither success, failure nor a number from 0 to 1")


def _object(value: Any) -> dict[str, Any]:
    if not isinstance(value, dict):
        raise NotImportableError(f"{type(value).__name__} is no object")
    return value


def _dict(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _parsed(value: Any) -> Any:
    """Read JSON that an export wrote into a text; any other text is itself."""
    if isinstance(value, str) and value[:1] in {"{", "["}:
        try:
            return json.loads(value)
        except (ValueError, RecursionError):
            return value
    return value


def _camel(name: str) -> str:
    head, *tail = name.split("_")
    return head + "".join(part.capitalize() for part in tail)


def _id_of(data: Mapping[str, Any]) -> str:
    found = text_of(data.get("id"))
    if found is None:
        raise NotImportableError("id: missing")
    return found


def _digest(data: Mapping[str, Any]) -> str:
    return "chat-" + sha256(json.dumps(data, sort_keys=True).encode()).hexdigest()[:32]
