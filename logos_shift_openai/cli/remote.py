"""A server, through its HTTP API: its experiments for `logos-shift experiment`, and asking it for anything else.

Its rule: whatever the server or the way to it does wrong ends in one line that says what to do, never with the key.
"""

from __future__ import annotations

import json
import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlsplit

from logos_shift_openai.cli.output import CommandError
from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.strict import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from logos_shift_openai.core.config import Experiment
    from logos_shift_openai.server.experiments import Plan

_SECONDS: Final = (10.0, 35.0)  # to connect, to answer
_PART: Final = 1 << 18
_OK: Final = 200
_FAULTS: Final = 500
_SAID: Final[Mapping[int, str]] = {
    401: "does not accept the key in LOGOS_SHIFT_API_KEY",
    403: "does not let the key in LOGOS_SHIFT_API_KEY do that; changes need an admin key",
    429: "asks to wait: too many requests",
}


class SaidNoError(CommandError):
    """A server has refused what was asked.

    Args:
        message: The one line that is shown.
        status: Of HTTP.
    """

    def __init__(self, message: str, status: int) -> None:
        super().__init__(message)
        self.status = status


@dataclass(frozen=True, slots=True)
class Remote:
    """A server and a key of it.

    Args:
        url: Its address, with nothing behind the path.
        api_key: An admin key to change experiments, a read key to list them; None for a server without keys.
    """

    url: str
    api_key: str | None

    def start(self, plan: Plan) -> Experiment:
        """Start an experiment, or start one again.

        Raises:
            CommandError: the server said no or cannot be reached; as all methods here.
        """
        body = {
            "key": plan.key,
            "models": list(plan.models),
            "candidate": plan.candidate,
            "provider": plan.provider,
            "dataset": plan.dataset,
            "share": plan.share,
            "unit": plan.unit,
            "timeout_seconds": plan.timeout,
            "drop": list(plan.drop),
            "rename": dict(plan.rename),
            "set": dict(plan.set),
        }
        if plan.examples is not None:
            body["examples"] = dict(plan.examples)
        return self._one("POST", "/v1/experiments", body)

    def set_share(self, key: str, share: int) -> Experiment:
        """Set the candidate's part, in basis points."""
        return self._one("POST", f"/v1/experiments/{quote(key, safe='')}/share", {"share": share})

    def act(self, key: str, verb: str) -> Experiment:
        """Pause, resume or stop an experiment."""
        return self._one("POST", f"/v1/experiments/{quote(key, safe='')}/{verb}")

    def experiments(self) -> tuple[Experiment, ...]:
        """Read all of them."""
        answer = self.ask("GET", "/v1/experiments")
        try:
            return config_from({"version": 1, "experiments": answer["experiments"]}).experiments
        except (ConfigError, KeyError, TypeError) as error:
            raise self.strange(error) from None

    def _one(self, method: str, path: str, body: object = None) -> Experiment:
        answer = self.ask(method, path, body)
        try:
            return config_from({"version": 1, "experiments": [answer["experiment"]]}).experiments[0]
        except (ConfigError, KeyError, TypeError) as error:
            raise self.strange(error) from None

    def ask(self, method: str, path: str, body: object = None) -> Any:
        """Ask for something and read its JSON.

        Args:
            method: Of HTTP.
            path: From the first slash on, with its query.
            body: Sent as JSON; None sends none.

        Raises:
            SaidNoError: the server refuses it.
            CommandError: it cannot be reached, or is none.
        """
        with self._answer(method, path, body, "application/json") as answer:
            text = answer.content
        try:
            return json.loads(text)
        except (ValueError, RecursionError) as error:
            raise self.strange(error) from None

    def all(self, path: str, name: str, having: frozenset[str] = frozenset()) -> list[dict[str, Any]]:
        """Read a list of objects with at least these names, which the answer has under `name`."""
        answer = self.ask("GET", path)
        try:
            found = [{**one} for one in answer[name]]
        except (KeyError, TypeError) as error:
            raise self.strange(error) from None
        if not all(having <= one.keys() for one in found):
            raise self.strange(TypeError("other names"))
        return found

    def one(self, method: str, path: str, body: object = None, *, having: frozenset[str]) -> dict[str, Any]:
        """Ask for something whose answer is an object with at least these names."""
        answer = self.ask(method, path, body)
        if not isinstance(answer, dict) or not having <= answer.keys():
            raise self.strange(TypeError("other names"))
        return answer

    def parts(self, path: str) -> Iterator[bytes]:
        """Download something a part at a time, however long it is."""
        with self._answer("GET", path, None, "*/*") as answer:
            yield from answer.iter_content(_PART)

    @contextmanager
    def _answer(self, method: str, path: str, body: object, accept: str) -> Iterator[Any]:
        import requests  # noqa: PLC0415

        headers = {"Accept": accept}
        if self.api_key is not None:
            headers["Authorization"] = f"Bearer {self.api_key}"
        try:
            with requests.request(
                method,
                f"{self.url}{path}",
                json=body,
                headers=headers,
                timeout=_SECONDS,
                allow_redirects=False,  # a key goes to the address that was given, and to no other
                auth=_unchanged,
                stream=True,
            ) as answer:
                if answer.status_code != _OK:
                    raise SaidNoError(_refusal(self.url, answer.status_code, answer.content), answer.status_code)
                yield answer
        except (requests.RequestException, UnicodeError) as error:
            cure = "is `logos-shift serve` running there? --url and LOGOS_SHIFT_URL name the server"
            raise CommandError(f"{self.url} cannot be reached: {_why(error)}; {cure}") from None

    def strange(self, error: Exception) -> CommandError:
        """Say that an answer is none of a Logos server."""
        return CommandError(f"{self.url} does not answer as a Logos server does ({type(error).__name__})")


def server_of(url: str | None) -> Remote | None:
    """Make the server that an option or the environment names; None where neither does."""
    return remote_of(url, os.environ.get("LOGOS_SHIFT_API_KEY")) if url and url.strip() else None


def remote_of(url: str, api_key: str | None) -> Remote:
    """Make the server of an address.

    Raises:
        CommandError: the address is none, or the key cannot be sent.
    """
    url = url.strip().rstrip("/")
    try:
        parts = urlsplit(url)
        good = parts.scheme in {"http", "https"} and bool(parts.hostname) and not (parts.query or parts.fragment)
        good = good and parts.username is None and (parts.port is None or parts.port > 0)
    except ValueError:
        good = False
    if not good:
        raise CommandError(
            "the server's address (--url or LOGOS_SHIFT_URL) must be like https://logos.example.com, "
            "with its http:// or https://, and without a key or a query in it"
        )
    key = (api_key or "").strip() or None
    if key is not None and not (key.isascii() and key.isprintable()):
        raise CommandError("LOGOS_SHIFT_API_KEY holds characters that no key has")
    return Remote(url, key)


def _unchanged(request: Any) -> Any:
    """Keep `requests` from putting what stands in a .netrc in our key's place."""
    return request


def _refusal(url: str, status: int, text: bytes) -> str:
    try:
        message = str(json.loads(text)["error"]["message"])
    except (ValueError, RecursionError, KeyError, TypeError):
        return f"{url} {_SAID.get(status, f'does not answer as a Logos server does (HTTP {status})')}"
    if status in _SAID:
        return f"{url} {_SAID[status]}"
    return message if status < _FAULTS else f"{url}: {message}"


def _why(error: Exception) -> str:
    import requests  # noqa: PLC0415

    if isinstance(error, requests.exceptions.SSLError):
        return "its certificate is not accepted"
    if isinstance(error, requests.exceptions.Timeout):
        return "it did not answer in time"
    if isinstance(error, requests.exceptions.ConnectionError):
        return "no connection"
    return type(error).__name__
