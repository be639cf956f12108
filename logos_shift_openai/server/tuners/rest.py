"""A provider's own REST API by `requests`: one request, one answer, one kind of error.

A key goes to the address that was given and to no other: redirects are not followed and no .netrc is read.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final

from .protocol import AwayError, RefusedError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

_SECONDS: Final = (10.0, 120.0)  # to connect, between two bytes
_UPLOAD_SECONDS: Final = (10.0, 900.0)
_OK: Final = range(200, 300)
_BUSY: Final = frozenset({408, 425, 429})
_SERVER: Final = 500


class NotThereError(RefusedError):
    """There is nothing of that name."""


class ExistsError(RefusedError):
    """There is something of that name already."""


class Rest:
    """One address and the key for it.

    Args:
        base_url: Where paths begin, without a slash at its end.
        key: Sent as a bearer's.
        who: Name of the provider, for messages.
    """

    def __init__(self, base_url: str, key: str, who: str) -> None:
        self._base = base_url.rstrip("/")
        self._key = key
        self._who = who

    def ask(
        self,
        method: str,
        path: str,
        doing: str,
        *,
        body: Mapping[str, Any] | None = None,
        query: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        """Send a request with a JSON body, and read the JSON of the answer.

        Raises:
            AwayError: no answer, or one that says "later".
            RefusedError: the answer is no; `NotThereError` and `ExistsError` are two kinds of it.
        """
        return self._send(method, path, doing, json=body, params=query, timeout=_SECONDS)

    def upload(
        self, path: str, doing: str, file: Path, name: str, fields: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """Send a file as a form's; raises as `ask`."""
        with file.open("rb") as opened:
            files = {"file": (name, opened, "application/jsonl")}
            return self._send("POST", path, doing, files=files, data=fields, timeout=_UPLOAD_SECONDS)

    def _send(self, method: str, path: str, doing: str, **options: Any) -> dict[str, Any]:
        import requests  # noqa: PLC0415

        try:
            answer = requests.request(  # noqa: S113 - it is among the options
                method, f"{self._base}{path}", auth=self._sign, allow_redirects=False, **options
            )
        except requests.RequestException as error:
            raise AwayError(f"{doing}: {type(error).__name__}, {self._who} cannot be reached") from None
        status = answer.status_code
        if status in _OK:
            return _object(answer.content, f"{doing}: {self._who}")
        said = f"{doing}: {self._who} says {_message(answer.content) or f'HTTP {status}'}"
        if status == 404:  # noqa: PLR2004 - HTTP's own
            raise NotThereError(said)
        if status == 409:  # noqa: PLR2004
            raise ExistsError(said)
        if status in _BUSY or status >= _SERVER:
            raise AwayError(said, seconds=_seconds(answer.headers.get("Retry-After")))
        step = "check the key in this process's environment" if status in {401, 403} else ""
        raise RefusedError(said, step)

    def _sign(self, request: Any) -> Any:
        request.headers["Authorization"] = f"Bearer {self._key}"
        return request


def _object(content: bytes, who: str) -> dict[str, Any]:
    try:
        found = json.loads(content or b"{}")
    except (ValueError, RecursionError):
        raise AwayError(f"{who} answered with something that is not JSON") from None
    return found if isinstance(found, dict) else {"data": found}


def _message(content: bytes) -> str:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        return ""
    for name in ("error", "message", "detail"):
        one = found.get(name) if isinstance(found, dict) else None
        one = one.get("message") if isinstance(one, dict) else one
        if isinstance(one, str) and one:
            return one
    return ""


def _seconds(value: str | None) -> float | None:
    try:
        return max(0.0, float(value or ""))
    except ValueError:
        return None
