"""The connection to a channel: to an address that was looked at, ended in bounded time.

A name is resolved once, every address it has is looked at, and the very address that was looked at is connected to; so
a name that answers differently the second time leads nowhere. What the connection is used for may take so many seconds
in all, however slowly the other side speaks. The system's resolver cannot be told a limit, so it is asked in a thread
that is left alone when the time is over; as many as hang at once are bounded.
"""

from __future__ import annotations

import ipaddress
import socket
import threading
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

if TYPE_CHECKING:
    from collections.abc import Iterator

RESOLVE_SECONDS: Final = 5.0
CONNECT_SECONDS: Final = 5.0
ALL_SECONDS: Final = 15.0
_NAT64: Final = ipaddress.ip_network("64:ff9b::/96")
_SPECIAL: Final = tuple(
    f"is_{name}" for name in ["private", "loopback", "link_local", "multicast", "reserved", "unspecified", "site_local"]
)
_IPV4_BITS: Final = 0xFFFFFFFF
_MOST_RESOLVING: Final = 8
_resolving: Final = threading.BoundedSemaphore(_MOST_RESOLVING)


class UndeliveredError(Exception):
    """An event was not taken by a channel; the message says why, without a secret.

    Args:
        message: Why.
        final: Whether trying again is of no use.
        retry_after: Seconds that the other side asks to wait.
    """

    def __init__(self, message: str, *, final: bool = False, retry_after: float | None = None) -> None:
        super().__init__(message)
        self.final = final
        self.retry_after = retry_after


def dial(host: str, port: int, *, private: bool) -> socket.socket:
    """Connect to a host.

    Args:
        host: A name or an address.
        port: Its port.
        private: Whether its addresses may be private, of this machine or otherwise not of the open internet.

    Raises:
        UndeliveredError: there is no such host, an address of it may not be connected to, or none answers.
    """
    found = resolve(host, port)
    for _, _, _, _, address in found:
        if not private and not is_public(str(address[0])):
            raise UndeliveredError(f"{host} is a private address, which this channel may not use")
    for family, kind, protocol, _, address in found:
        connection = socket.socket(family, kind, protocol)
        connection.settimeout(CONNECT_SECONDS)
        try:
            connection.connect(address)
        except OSError:
            connection.close()
        else:
            return connection
    raise UndeliveredError(f"{host} cannot be reached")


def resolve(host: str, port: int, seconds: float = RESOLVE_SECONDS) -> list[Any]:
    """Find the addresses of a host, as `socket.getaddrinfo` gives them, in so many seconds.

    Raises:
        UndeliveredError: it has none, or they were not found in time.
    """
    found: list[Any] = []
    failed: list[Exception] = []

    def ask() -> None:
        try:
            found.extend(socket.getaddrinfo(host, port, type=socket.SOCK_STREAM))
        except (OSError, UnicodeError) as error:
            failed.append(error)
        finally:
            _resolving.release()

    if not _resolving.acquire(blocking=False):
        raise UndeliveredError(f"{host} was not looked up: earlier look-ups hang")
    asking = threading.Thread(target=ask, name="logos-shift-resolve", daemon=True)
    asking.start()
    asking.join(seconds)
    if asking.is_alive():
        raise UndeliveredError(f"the address of {host} was not found in {seconds:g} seconds")
    if failed or not found:
        raise UndeliveredError(f"{host} has no address")
    return found


def is_public(text: str) -> bool:
    """Tell whether an address is one of the open internet, also behind the ways to write an IPv4 one as an IPv6 one."""
    address: Any = ipaddress.ip_address(text.partition("%")[0])
    if address.version == 6:  # noqa: PLR2004 - of IP
        inner = address.ipv4_mapped or address.sixtofour or (address.teredo and address.teredo[1])
        if address in _NAT64:
            inner = ipaddress.IPv4Address(int(address) & _IPV4_BITS)
        if inner:
            return is_public(str(inner))
    return address.is_global and not any(getattr(address, name, False) for name in _SPECIAL)


@contextmanager
def in_time(connection: socket.socket, seconds: float = ALL_SECONDS) -> Iterator[None]:
    """Cut a connection off after so many seconds, whatever is being waited for on it then.

    Raises:
        TimeoutError: it was cut off; what was read of it may be no whole.
    """
    twin = connection.dup()  # TLS takes the socket itself away; the connection is the same

    ended = threading.Event()

    def cut() -> None:
        ended.set()
        with suppress(OSError):
            twin.shutdown(socket.SHUT_RDWR)

    timer = threading.Timer(seconds, cut)
    timer.daemon = True
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        timer.join()
        twin.close()
    if ended.is_set():
        raise TimeoutError
