"""The body of a chat completion request, read strictly.

Owns which parameters the lab takes and how it refuses the others; ``chat`` answers what passed here. A body
is refused where OpenAI would refuse it, so a parameter that should not have been sent is noticed.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from .errors import invalid, missing, wrong_type
from .tool_request import read_wanted

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from .errors import ApiError
    from .features import Message
    from .wanted import Wanted

ROLES = frozenset({"system", "developer", "user", "assistant", "tool", "function"})
_KNOWN = frozenset(
    "model messages stream stream_options n max_tokens max_completion_tokens temperature top_p stop "  # noqa: SIM905
    "logprobs "
    "top_logprobs seed user safety_identifier prompt_cache_key prompt_cache_retention metadata store "
    "presence_penalty frequency_penalty logit_bias response_format tools tool_choice parallel_tool_calls "
    "functions function_call reasoning_effort verbosity service_tier modalities audio prediction "
    "web_search_options moderation prompt_cache_options".split()
)
_MOST_CHOICES, _MOST_LOGPROBS = 128, 20


@dataclass(frozen=True)
class ChatRequest:
    """What the lab needs to know of a request; everything else is accepted and has no effect."""

    model: str
    messages: Sequence[Message]
    n: int
    stream: bool
    include_usage: bool
    logprobs: bool
    top_logprobs: int
    limit: int | None  # tokens of the answer
    stop: tuple[str, ...]
    temperature: float
    seed: int | None
    wanted: Wanted
    store: bool


def read_chat_request(body: Mapping[str, object]) -> ChatRequest:
    """Read and check a request.

    Raises:
        ApiError: 400 with the field at fault in ``param``.
    """
    unknown = next((name for name in body if name not in _KNOWN), None)
    if unknown is not None:
        raise invalid(f"Unknown parameter: '{unknown}'.", unknown, "unknown_parameter")
    model = body.get("model")
    if model is None or model == "":
        raise invalid("you must provide a model parameter")
    if not isinstance(model, str):
        raise wrong_type("model", "a string", model)
    logprobs = _flag(body, "logprobs")
    top = _whole(body, "top_logprobs", 0, _MOST_LOGPROBS)
    if top is not None and not logprobs:
        message = "The 'top_logprobs' parameter is only allowed when 'logprobs' is enabled."
        raise invalid(message, "top_logprobs")
    stream = _flag(body, "stream")
    limit = _whole(body, "max_completion_tokens", 1, None)
    messages = _messages(body.get("messages"))
    return ChatRequest(
        model=model,
        messages=messages,
        n=_whole(body, "n", 1, _MOST_CHOICES) or 1,
        stream=stream,
        include_usage=_include_usage(body.get("stream_options"), stream=stream),
        logprobs=logprobs,
        top_logprobs=top or 0,
        limit=limit if limit is not None else _whole(body, "max_tokens", 1, None),
        stop=_stop(body.get("stop")),
        temperature=_temperature(body.get("temperature")),
        seed=_whole(body, "seed", None, None),
        wanted=read_wanted(body, messages),
        store=_flag(body, "store"),
    )


def _messages(value: object) -> Sequence[Message]:
    if value is None:
        raise missing("messages")
    if not isinstance(value, list):
        raise wrong_type("messages", "an array of objects", value)
    if not value:
        message = (
            "Invalid 'messages': empty array. Expected an array with minimum length 1, but got an empty array instead."
        )
        raise invalid(message, "messages", "empty_array")
    for place, message in enumerate(value):
        if not isinstance(message, dict):
            raise wrong_type(f"messages[{place}]", "an object", message)
        role = message.get("role")
        if role is None:
            raise missing(f"messages[{place}].role")
        if not isinstance(role, str) or role not in ROLES:
            known = ", ".join(f"'{name}'" for name in sorted(ROLES))
            text = f"Invalid value: '{role}'. Supported values are: {known}."
            raise invalid(text, f"messages[{place}].role", "invalid_value")
    return value


def _flag(body: Mapping[str, object], name: str) -> bool:
    value = body.get(name)
    if value is None:
        return False
    if not isinstance(value, bool):
        raise wrong_type(name, "a boolean", value)
    return value


def _whole(body: Mapping[str, object], name: str, least: int | None, most: int | None) -> int | None:
    value = body.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int):
        raise wrong_type(name, "an integer", value)
    if least is not None and value < least:
        raise _out_of_range(name, "below minimum", f">= {least}", value, "integer_below_min_value")
    if most is not None and value > most:
        raise _out_of_range(name, "above maximum", f"<= {most}", value, "integer_above_max_value")
    return value


def _out_of_range(name: str, fault: str, wanted: str, value: int, code: str) -> ApiError:
    message = f"Invalid '{name}': integer {fault} value. Expected a value {wanted}, but got {value} instead."
    return invalid(message, name, code)


def _temperature(value: object) -> float:
    if value is None:
        return 1.0
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise wrong_type("temperature", "a decimal", value)
    if not 0 <= value <= 2:  # noqa: PLR2004 - OpenAI's range
        message = f"Invalid 'temperature': expected a value between 0 and 2, but got {value} instead."
        raise invalid(message, "temperature", "decimal_out_of_range")
    return float(value)


def _stop(value: object) -> tuple[str, ...]:
    if value is None:
        return ()
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, list) or not all(isinstance(text, str) for text in texts):
        raise wrong_type("stop", "a string or an array of strings", value)
    return tuple(text for text in texts if text)


def _include_usage(value: object, *, stream: bool) -> bool:
    if value is None:
        return False
    if not stream:
        message = "The 'stream_options' parameter is only allowed when 'stream' is enabled."
        raise invalid(message, "stream_options")
    if not isinstance(value, dict):
        raise wrong_type("stream_options", "an object", value)
    return _flag(value, "include_usage")
