"""Whether a server can listen at an address: asked before anything is made, above all its first key, shown once."""

from __future__ import annotations

import errno
import os
import socket


class NoRoomError(Exception):
    """Nobody can listen there; the message says why and what helps."""


def look_for_room(host: str, port: int) -> None:
    """See that an address can be listened at, by listening there for a moment.

    Args:
        host: A name or an address of this machine.
        port: 0, for any free one, always has room.

    Raises:
        NoRoomError: it cannot.
    """
    try:
        for family, kind, protocol, _, where in socket.getaddrinfo(host, port, type=socket.SOCK_STREAM):
            with socket.socket(family, kind, protocol) as trial:
                if os.name == "posix":  # as asyncio does; elsewhere it would let two listen
                    trial.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                if family == socket.AF_INET6:
                    trial.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
                trial.bind(where)
    except (socket.gaierror, UnicodeError):
        raise NoRoomError(f"{host} is no address of this machine; --host takes one, such as 127.0.0.1") from None
    except OSError as error:
        if error.errno == errno.EADDRINUSE:
            taken = f"port {port} of {host} is taken, by another server maybe"
            raise NoRoomError(f"{taken}; --port takes another one, 0 a free one") from None
        raise NoRoomError(f"{host} port {port}: {error.strerror}; --host and --port take others") from None
