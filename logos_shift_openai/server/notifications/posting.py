"""An HTTP POST to a channel: no redirect, no proxy, a bounded answer, a bounded time."""

from __future__ import annotations

import http.client
import re
import ssl
from typing import TYPE_CHECKING, Final

from logos_shift_openai.version import __version__

from .dialing import ALL_SECONDS, UndeliveredError, dial, in_time

if TYPE_CHECKING:
    from collections.abc import Mapping

    from .channels import Channel

ANSWER_BYTES: Final = 64 * 1024
_PORTS: Final = {"http": 80, "https": 443}
_GONE: Final = 410
_LATER: Final = frozenset({429, 502, 503, 504})
_LONGEST_WAIT: Final = 86_400.0


def post(channel: Channel, body: bytes, headers: Mapping[str, str], seconds: float = ALL_SECONDS) -> None:
    """Post a body of JSON to the address of a channel.

    Raises:
        UndeliveredError: the answer is not a 2xx, or there is none in time.
    """
    scheme = channel.url.scheme.rpartition("+")[2]
    host = channel.url.hostname or ""
    path = (channel.url.path or "/") + (f"?{channel.url.query}" if channel.url.query else "")
    connection = http.client.HTTPConnection(host, channel.url.port or _PORTS[scheme])
    plain = dial(host, connection.port, private=channel.private)
    try:
        plain.settimeout(seconds)
        with in_time(plain, seconds):
            connection.sock = plain
            if scheme == "https":
                connection.sock = ssl.create_default_context().wrap_socket(plain, server_hostname=host)
            said = {"Content-Type": "application/json", "User-Agent": f"logos-shift/{__version__}", **headers}
            connection.request("POST", path, body, {**said, "Connection": "close"})
            answer = connection.getresponse()
            if len(answer.read(ANSWER_BYTES + 1)) > ANSWER_BYTES:
                raise UndeliveredError(f"{host} answers with more than {ANSWER_BYTES // 1024} KiB")
    except ssl.SSLCertVerificationError:
        raise UndeliveredError(f"the certificate of {host} is not accepted") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise UndeliveredError(f"{host} did not answer: {type(error).__name__}") from None
    finally:
        connection.close()
        plain.close()
    _check(host, answer)


def _check(host: str, answer: http.client.HTTPResponse) -> None:
    if 200 <= answer.status < 300:  # noqa: PLR2004 - a success
        return
    if 300 <= answer.status < 400:  # noqa: PLR2004 - a redirect
        raise UndeliveredError(f"{host} answers {answer.status}, and redirects are not followed")
    wait = re.fullmatch(r"\d{1,9}", answer.getheader("Retry-After", "").strip())
    raise UndeliveredError(
        f"{host} answers {answer.status}",
        final=answer.status == _GONE,
        retry_after=min(float(wait[0]), _LONGEST_WAIT) if wait and answer.status in _LATER else None,
    )
