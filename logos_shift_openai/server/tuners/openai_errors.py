"""What the SDK raises, in a tuner's words."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING, Final

import openai

from .protocol import AwayError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Iterator

_UNKNOWN_PATH: Final = frozenset({404, 405, 501})
_BUSY: Final = frozenset({408, 409, 425, 429})
_SERVER: Final = 500
_CLOSED: Final = "training_not_available"
CLOSED: Final = (
    "OpenAI has closed fine-tuning for this organisation: closed to organisations that are new to it since May 2026, "
    "to everyone on 6 January 2027; models tuned on gpt-4o and gpt-4.1 stop on 14 January 2027"
)
OTHER_WAYS: Final = (
    "take another way: --tuner together or fireworks; --tuner command with a script of your own "
    "(examples/lora_recipe trains a LoRA and serves it with vLLM); --provider NAME for Azure or any other server that "
    "speaks the same API; or no training at all: --tuner none with a cheaper model, with --examples 4 for the nearest "
    "logged examples in its prompt"
)


@contextmanager
def translated(doing: str) -> Iterator[None]:
    """Raise what the SDK raises as a `TunerError`.

    Args:
        doing: What was tried, for the message.
    """
    try:
        yield
    except openai.APIStatusError as error:
        raise _of_status(error, doing) from None
    except openai.APIConnectionError as error:
        raise AwayError(f"{doing}: {type(error).__name__}, the provider cannot be reached") from None
    except openai.OpenAIError as error:
        raise RefusedError(f"{doing}: {error}") from None


def gone(error: openai.APIStatusError) -> bool:
    """Tell whether the server has no such path."""
    return error.status_code in _UNKNOWN_PATH


def said_by(error: openai.APIStatusError) -> str:
    """Give the server's own sentence."""
    body = error.body
    message = body.get("message") if isinstance(body, dict) else None
    return message if isinstance(message, str) and message else f"HTTP {error.status_code}"


def _of_status(error: openai.APIStatusError, doing: str) -> AwayError | RefusedError:
    said = said_by(error)
    status = error.status_code
    if status == 403 and (error.code == _CLOSED or _CLOSED in said):  # noqa: PLR2004 - HTTP's own
        return RefusedError(CLOSED, OTHER_WAYS)
    if status in _BUSY or status >= _SERVER:
        return AwayError(f"{doing}: {said}", seconds=_wish(error))
    if status in {401, 403}:
        return RefusedError(f"{doing}: {said}", "check the key and what it may do, in this process's environment")
    if status == 400 and error.param:  # noqa: PLR2004
        return RefusedError(f"{doing}: {said} ({error.param})")
    return RefusedError(f"{doing}: {said}")


def _wish(error: openai.APIStatusError) -> float | None:
    try:
        return max(0.0, float(error.response.headers.get("retry-after", "")))
    except ValueError:
        return None
