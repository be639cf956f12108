"""The OpenAI SDK with one import swapped: calls are recorded, answers take feedback, a proven cheaper model takes over.

from logos_shift_openai import OpenAI
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .errors import ConfigError, FeedbackError, LogosShiftError, SettingsError
from .version import __version__

if TYPE_CHECKING:
    from .client.clients import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
    from .client.context import context, headers
    from .client.feedback import Value, id_of
    from .client.logos_shift import Explanation, LogosShift
    from .client.providers import Provider
    from .client.runtime import Runtime
    from .client.seam import AsyncLogosShiftMixin, LogosShiftMixin

# Where each name lives: imported when it is first asked for, so that the command line does not wait for the SDK.
_HOMES = {
    "AsyncAzureOpenAI": "clients",
    "AsyncLogosShiftMixin": "seam",
    "AsyncOpenAI": "clients",
    "AzureOpenAI": "clients",
    "Explanation": "logos_shift",
    "LogosShift": "logos_shift",
    "LogosShiftMixin": "seam",
    "OpenAI": "clients",
    "Provider": "providers",
    "context": "context",
    "headers": "context",
    "id_of": "feedback",
}

__all__ = [
    "AsyncAzureOpenAI",
    "AsyncLogosShiftMixin",
    "AsyncOpenAI",
    "AzureOpenAI",
    "ConfigError",
    "Explanation",
    "FeedbackError",
    "LogosShift",
    "LogosShiftError",
    "LogosShiftMixin",
    "OpenAI",
    "Provider",
    "SettingsError",
    "__version__",
    "aprovide_feedback",
    "context",
    "explain",
    "flush",
    "headers",
    "id_of",
    "logos_shift",
    "provide_feedback",
    "stats",
]


logos_shift: LogosShift
"""A `LogosShift` with the settings of the environment, made when it is first asked for."""


if not TYPE_CHECKING:

    def __getattr__(name: str) -> Any:
        if name == "logos_shift":
            return globals().setdefault(name, _shift())
        if name not in _HOMES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, getattr(import_module(f".client.{_HOMES[name]}", __name__), name))


def _shift() -> LogosShift:
    from .client.logos_shift import LogosShift  # noqa: PLC0415 - as all of the client, when it is wanted

    return LogosShift()


def _runtime() -> Runtime:
    """Give the one runtime of this process where there is one, else what the environment says."""
    from .client.runtime import sole_runtime  # noqa: PLC0415 - as all of the client, when it is wanted

    return sole_runtime() or _shift().runtime


def provide_feedback(
    call: object,
    value: Value = None,
    *,
    comment: str | None = None,
    correction: Any = None,
    by: str | None = None,
) -> str:
    """Say how good an answer was, from any process that has its id; it may come before the call itself.

    Args:
        call: The answer, its `logos_shift_id`, or the provider's own id of it (`chatcmpl-…`).
        value: "success" or "failure", a bool, or a number in [0, 1].
        comment: Free text.
        correction: The right answer: a text, or any JSON value.
        by: Who says it.

    Returns:
        The id of the feedback.

    Raises:
        FeedbackError: there is no id, nothing is said, or the value is out of range.
    """
    from .client.feedback import record  # noqa: PLC0415 - as all of the client, when it is wanted

    return record(_runtime(), call, value, comment=comment, correction=correction, by=by)


async def aprovide_feedback(
    call: object,
    value: Value = None,
    *,
    comment: str | None = None,
    correction: Any = None,
    by: str | None = None,
) -> str:
    """Say how good an answer was, from asynchronous code; see `provide_feedback`."""
    return provide_feedback(call, value, comment=comment, correction=correction, by=by)


def explain(
    *,
    model: str,
    user_id: str | None = None,
    conversation_id: str | None = None,
    dataset: str | None = None,
    endpoint: str = "chat.completions",
) -> Explanation:
    """Tell where a call would go and why, without calling; by the settings of the environment."""
    return _shift().explain(
        model=model, user_id=user_id, conversation_id=conversation_id, dataset=dataset, endpoint=endpoint
    )


def stats() -> dict[str, Any]:
    """Count what was recorded, sent, spooled and dropped by reason; of this process."""
    return _runtime().stats()


def flush(timeout: float = 5.0) -> bool:
    """Wait until all records are written, and sent where there is a server; of this process."""
    return _runtime().flush(timeout)
