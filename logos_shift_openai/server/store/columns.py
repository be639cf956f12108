"""The kinds of columns that records are kept in: on PostgreSQL as few bytes as they can be, on SQLite as plain texts.

Ids: a UUID as our clients write it takes its 16 bytes; any other id its UTF-8, with a NUL behind it where that would
be 16 bytes too (no id ends in one: see `store.rows`). Ids of ours sort by time in either form, on every engine.
Ends: an index over the last bytes of an id is a third of one over the whole; who looks an id up by it asks for both.
Choices: the few texts that stand in millions of rows take one letter each; a text without a letter stays what it is.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any, Final

from sqlalchemy import BigInteger, Integer, LargeBinary, String, TypeDecorator
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

if TYPE_CHECKING:
    from sqlalchemy import Dialect
    from sqlalchemy.sql.compiler import SQLCompiler
    from sqlalchemy.types import TypeEngine

ID_LENGTH: Final = 512
"""Longest text in a column that is indexed, in characters."""

_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}").fullmatch
_UUID_LENGTH: Final = 36
_UUID_BYTES: Final = 16
_BEHIND: Final = b"\0"
_END_BYTES: Final = 7  # with its length it fills 8, which an entry of an index is rounded up to


def pack_id(text: str) -> bytes:
    """Give the bytes that an id takes on PostgreSQL."""
    if len(text) == _UUID_LENGTH and _UUID(text):
        return bytes.fromhex(text.replace("-", ""))
    packed = text.encode("utf-8", "replace")
    return packed + _BEHIND if len(packed) == _UUID_BYTES else packed


def unpack_id(packed: bytes) -> str:
    """Give the id that `pack_id` packed."""
    if len(packed) != _UUID_BYTES:
        return packed.rstrip(_BEHIND).decode()
    digits = packed.hex()
    return f"{digits[:8]}-{digits[8:12]}-{digits[12:16]}-{digits[16:20]}-{digits[20:]}"


class IdType(TypeDecorator[str]):
    """An id, ours or another's."""

    impl = String(ID_LENGTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Say how it is kept."""
        return dialect.type_descriptor(LargeBinary() if dialect.name == "postgresql" else String(ID_LENGTH))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Give what is kept of a value."""
        return value if value is None or dialect.name != "postgresql" else pack_id(value)

    def process_result_value(self, value: Any, dialect: Dialect) -> str | None:
        """Give a value back."""
        return value if value is None or dialect.name != "postgresql" else unpack_id(bytes(value))

    @staticmethod
    def in_json(value: str) -> str:
        """Write a value as PostgreSQL reads it from a JSON text."""
        if len(value) == _UUID_LENGTH and _UUID(value):
            return rf"\x{value.replace('-', '')}"
        return rf"\x{pack_id(value).hex()}"


class End(TypeDecorator[str]):
    """The last bytes of an id on PostgreSQL, all of it on SQLite; given as the id, never read back."""

    impl = String(ID_LENGTH)
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """Say how it is kept."""
        return dialect.type_descriptor(LargeBinary() if dialect.name == "postgresql" else String(ID_LENGTH))

    def process_bind_param(self, value: str | None, dialect: Dialect) -> Any:
        """Give the end of an id."""
        return value if value is None or dialect.name != "postgresql" else pack_id(value)[-_END_BYTES:]


class end_of(FunctionElement[str]):  # noqa: N801 - a function of SQL
    """The `End` of the ids in a column."""

    inherit_cache = True
    name = "end_of"
    type = End()


@compiles(end_of)
def _whole(element: end_of, compiler: SQLCompiler, **options: Any) -> str:
    return compiler.process(element.clauses, **options)


@compiles(end_of, "postgresql")
def _end(element: end_of, compiler: SQLCompiler, **options: Any) -> str:
    whole = compiler.process(element.clauses, **options)
    return f"substr({whole}, length({whole}) - {_END_BYTES - 1})"


class Choice(TypeDecorator[str]):
    """One of a few texts.

    Args:
        length: Characters that the column has room for.
        letters: The texts that have one, with it.
    """

    impl = String
    cache_ok = True

    def __init__(self, length: int, **letters: str) -> None:
        super().__init__(length)
        self.letters = tuple(letters.items())  # what makes one type another, for the cache of statements
        self._letters, self._texts = letters, {letter: text for text, letter in letters.items()}

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Give what is kept of a value."""
        return value if value is None or dialect.name != "postgresql" else self.in_json(value)

    def process_result_value(self, value: str | None, dialect: Dialect) -> str | None:
        """Give a value back."""
        return value if value is None or dialect.name != "postgresql" else self._texts.get(value, value)

    def in_json(self, value: str) -> str:
        """Write a value as it is kept on PostgreSQL."""
        return self._letters.get(value, value)


Id: Final = IdType()
Name: Final = String(ID_LENGTH).with_variant(String(ID_LENGTH, collation="C"), "postgresql")
"""Ids of things that there are few of."""

Endpoint: Final = Choice(64, **{"chat.completions": "c", "responses": "r", "embeddings": "e", "completions": "t"})
Variant: Final = Choice(16, baseline="b", candidate="c")
Packing: Final = Choice(8, zstd="z")
Tokens: Final = BigInteger().with_variant(Integer, "postgresql")
"""Counts below 2^31."""
