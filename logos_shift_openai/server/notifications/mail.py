"""An e-mail by SMTP: plain text, over TLS, with a Message-ID by which one that comes twice is known."""

from __future__ import annotations

import smtplib
import ssl
from datetime import datetime, timezone
from email.message import EmailMessage
from email.policy import SMTP as SMTP_POLICY
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any, Final

from .console import one_line
from .dialing import ALL_SECONDS, UndeliveredError, dial, in_time

if TYPE_CHECKING:
    import socket

    from .channels import Channel
    from .rules import Event

_PORTS: Final = {"smtp": 587, "smtps": 465}
_SUBJECT_LENGTH: Final = 150


class _Dialed(smtplib.SMTP):
    """SMTP over a connection that was made already, as the library makes its own with TLS."""

    def __init__(self, host: str, connection: socket.socket) -> None:
        self._connection = connection
        super().__init__(host, 1, local_hostname="logos-shift", timeout=ALL_SECONDS)

    def _get_socket(self, host: str, port: int, timeout: float) -> Any:  # noqa: ARG002 - the library's
        return self._connection


def send(channel: Channel, event: Event, now: int) -> None:  # noqa: ARG001 - as of all kinds
    """Send an event.

    Raises:
        UndeliveredError: the mail server did not take it, for any of the receivers.
    """
    host, scheme = channel.url.hostname or "", channel.url.scheme
    plain = dial(host, channel.url.port or _PORTS[scheme], private=channel.private)
    context = ssl.create_default_context()
    try:
        plain.settimeout(ALL_SECONDS)
        with in_time(plain):
            safe = scheme == "smtps"
            connection = context.wrap_socket(plain, server_hostname=host) if safe else plain
            with _Dialed(host, connection) as server:
                server.ehlo()
                if not safe and server.has_extn("starttls"):
                    server.starttls(context=context)
                    server.ehlo()
                    safe = True
                if not safe and (channel.user is not None or not channel.private):
                    raise UndeliveredError(f"{host} offers no TLS")
                if channel.user is not None and channel.password is not None:
                    server.login(channel.user, channel.password)
                refused = server.send_message(letter(channel, event), channel.sender, channel.receivers)
    except ssl.SSLCertVerificationError:
        raise UndeliveredError(f"the certificate of {host} is not accepted") from None
    except smtplib.SMTPResponseException as error:  # its text may repeat what was sent
        raise UndeliveredError(f"{host} answers {error.smtp_code}") from None
    except (OSError, smtplib.SMTPException, ValueError) as error:
        raise UndeliveredError(f"{host} did not take it: {type(error).__name__}") from None
    finally:
        plain.close()
    if refused:
        raise UndeliveredError(f"{host} refused {len(refused)} of {len(channel.receivers)} receivers")


def letter(channel: Channel, event: Event) -> EmailMessage:
    """Write an event as a mail; what came from elsewhere is one line in a header, whatever it holds."""
    mail = EmailMessage(policy=SMTP_POLICY)
    mail["From"] = channel.sender
    mail["To"] = ", ".join(channel.receivers)
    mail["Subject"] = one_line(f"[logos-shift] {event.title}")[:_SUBJECT_LENGTH]
    mail["Date"] = format_datetime(datetime.fromtimestamp(event.at / 1000, timezone.utc))
    mail["Message-ID"] = f"<{event.id}@logos-shift>"
    mail["Auto-Submitted"] = "auto-generated"  # RFC 3834: no answers of absent people
    about = (("event", event.kind), ("experiment", event.experiment), ("dataset", event.dataset), ("id", event.id))
    lines = [event.why, "", *(f"{name}: {one_line(value)}" for name, value in about if value)]
    text = "\n".join(lines) + "\n"
    mail.set_content(text.encode("utf-8", "replace").decode())  # half a character is none
    return mail
