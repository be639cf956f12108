"""The user's own providers, as a command asks them: one request after the other, no faster than was asked for."""

from __future__ import annotations

import json
import time
from typing import TYPE_CHECKING, Any, Final

import openai

from logos_shift_openai.cli.output import CommandError
from logos_shift_openai.client.asking import AnswerError, ask
from logos_shift_openai.client.call import described
from logos_shift_openai.client.providers import ProviderClients
from logos_shift_openai.client.settings import read_settings
from logos_shift_openai.errors import SettingsError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from logos_shift_openai.client.settings import Settings
    from logos_shift_openai.core.records import CallError

SECONDS: Final = 120.0
_RETRIES: Final = 2
_MINUTE: Final = 60.0
_TRY_LATER: Final = frozenset({401, 403, 404, 408, 409, 429})


class UnansweredError(Exception):
    """The provider could not be asked, or was too busy: nothing is known of its model yet; the message says why."""


class RefusedError(Exception):
    """The provider took the request and gave no answer to it.

    Args:
        error: How it failed.
    """

    def __init__(self, error: CallError) -> None:
        super().__init__(error.message)
        self.error = error


def settings_here() -> Settings:
    """Read the settings of the environment.

    Raises:
        CommandError: one cannot be meant.
    """
    try:
        return read_settings({})
    except SettingsError as error:
        raise CommandError(str(error)) from None


class Pace:
    """No more than so many requests a minute.

    Args:
        per_minute: None for as fast as it goes.
        clock: Seconds that never go back.
        rest: Waits some seconds.
    """

    def __init__(
        self,
        per_minute: float | None,
        clock: Callable[[], float] = time.monotonic,
        rest: Callable[[float], None] = time.sleep,
    ) -> None:
        self._gap = 0.0 if per_minute is None else _MINUTE / per_minute
        self._clock, self._rest = clock, rest
        self._next = clock()

    def wait(self) -> None:
        """Wait for the next request's turn."""
        early = self._next - self._clock()
        if early > 0:
            self._rest(early)
        self._next = max(self._next, self._clock()) + self._gap


class Asked:
    """A provider of the user's own, by its name.

    Args:
        settings: Whose providers.
        name: The provider.
        pace: How fast it may be asked.

    Raises:
        CommandError: it is not known here; the message says how it is made known.
    """

    def __init__(self, settings: Settings, name: str, pace: Pace) -> None:
        provider = settings.providers.get(name.lower())
        if provider is None:
            raise CommandError(f"provider {name} is not known here; set LOGOS_SHIFT_PROVIDER_{name.upper()}_BASE_URL")
        self._client = ProviderClients(provider).sync()
        self._pace = pace
        self._most = settings.record_bytes
        self.tokens = [0, 0]
        """Tokens read and written, as far as it told them."""

    def __call__(self, body: Mapping[str, Any], endpoint: str = "chat.completions") -> bytes:
        """Ask, and give its answer.

        Raises:
            UnansweredError: it could not be asked; worth another try.
            RefusedError: it gave no answer to this request.
        """
        self._pace.wait()
        try:
            answer = ask(self._client, endpoint, body, seconds=SECONDS, most=self._most, retries=_RETRIES)
        except AnswerError as error:
            raise RefusedError(described(error)) from None
        except openai.APIStatusError as error:
            if error.status_code in _TRY_LATER or error.status_code >= 500:  # noqa: PLR2004
                raise UnansweredError(f"{error.status_code}: {error.message}") from None
            raise RefusedError(described(error)) from None
        except openai.OpenAIError as error:
            raise UnansweredError(f"{type(error).__name__}: {error}") from None
        self._count(json.loads(answer).get("usage"))
        return answer

    def _count(self, usage: Any) -> None:
        names = (("prompt_tokens", "input_tokens"), ("completion_tokens", "output_tokens"))
        for place, each in enumerate(names):
            counts = [usage.get(name) for name in each] if isinstance(usage, dict) else []
            self.tokens[place] += next((count for count in counts if isinstance(count, int)), 0)
