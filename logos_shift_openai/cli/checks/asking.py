"""Ask an address for its JSON, with a key that goes there and nowhere else."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from requests import Response

SECONDS: Final = 5.0


def ask(url: str, key: str) -> Response:
    """Get what lies at an address; no redirection is followed.

    Args:
        url: The address.
        key: Sent as a bearer token; empty sends none.

    Raises:
        requests.RequestException: it does not answer.
    """
    import requests  # noqa: PLC0415 - only where something is asked

    headers = {"Accept": "application/json", **({"Authorization": f"Bearer {key}"} if key else {})}
    return requests.get(url, headers=headers, timeout=SECONDS, allow_redirects=False, auth=_unchanged)


def _unchanged(request: Any) -> Any:
    """Keep what stands in a .netrc from taking the key's place."""
    return request
