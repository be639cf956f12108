"""Reading ``multipart/form-data`` (RFC 7578), as file uploads arrive.

Owns the parser only. Strict: a body that does not fit its boundary is refused.
"""

from __future__ import annotations

from dataclasses import dataclass
from email.message import Message as Headers
from email.parser import BytesParser
from email.policy import HTTP
from typing import TYPE_CHECKING

from .errors import ApiError, invalid

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Part:
    """One field of a form; ``filename`` is None for a plain field."""

    name: str
    filename: str | None
    data: bytes

    def text(self) -> str:
        """Read the field as UTF-8 text."""
        return self.data.decode("utf-8", "replace")


def read_form(content_type: str, body: bytes) -> dict[str, Part]:
    """Take a form apart, by field name; of equal names the last one stays.

    Raises:
        ApiError: 400, not a form or a broken one.
    """
    headers = Headers()
    headers["Content-Type"] = content_type
    boundary = headers.get_boundary()
    if headers.get_content_type() != "multipart/form-data" or not boundary:
        raise invalid("Could not parse multipart form: the Content-Type is not multipart/form-data.")
    return {part.name: part for part in _parts(b"--" + boundary.encode("latin-1"), body)}


def _parts(fence: bytes, body: bytes) -> Iterator[Part]:
    pieces = (b"\r\n" + body).split(b"\r\n" + fence)
    if len(pieces) < 2 or not pieces[-1].startswith(b"--"):  # noqa: PLR2004 - before, parts, after
        raise _broken()
    for piece in pieces[1:-1]:
        head, gap, data = piece.partition(b"\r\n\r\n")
        if not gap:
            raise _broken()
        headers = BytesParser(policy=HTTP).parsebytes(head.lstrip(b" \t").removeprefix(b"\r\n") + b"\r\n\r\n")
        disposition = headers["Content-Disposition"]
        fields = {} if disposition is None else disposition.params
        name, filename = fields.get("name"), fields.get("filename")
        if not name:
            raise _broken()
        yield Part(str(name), None if filename is None else str(filename), data)


def _broken() -> ApiError:
    return invalid("Could not parse multipart form: the body does not fit its boundary.")
