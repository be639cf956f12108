"""Where datasets and editions are: in a store that this process opens, or on a server. Both give the same.

The files of an edition that is made here lie in the home folder (or beside the bodies in S3), those of one that is made
on a server lie with the server, and are downloaded from it.
"""

from __future__ import annotations

import time
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Final, Protocol
from urllib.parse import quote

from logos_shift_openai.cli.output import CommandError, now_ms
from logos_shift_openai.cli.remote import Remote, SaidNoError, server_of
from logos_shift_openai.cli.session import Place, opened

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from logos_shift_openai.server.datasets.choosing import Choice
    from logos_shift_openai.server.datasets.keeping import EditionStore
    from logos_shift_openai.server.datasets.register import Dataset, Edition
    from logos_shift_openai.server.store.database import Store

_LOOK_SECONDS: Final = 0.5
_NOT_FOUND: Final = 404
_BUILD: Final = frozenset({"id", "state", "read", "edition", "said"})
_SAID: Final = frozenset({"kind", "dialect", "counts", "estimate", "answers", "prune", "warnings"})


class Datasets(Protocol):
    """What the commands ask of a place."""

    def datasets(self) -> list[Dataset]:
        """List the datasets."""

    def editions(self) -> list[Edition]:
        """List the editions."""

    def edition(self, name: str) -> Edition:
        """Find one by its id or how that begins."""

    def build(self, choice: Choice, advance: Callable[[int], None]) -> Edition:
        """Make one; `advance` is called with the calls looked at."""

    def parts(self, edition: Edition, part: str) -> Iterator[bytes]:
        """Read the file of a part of one."""

    def remove(self, edition: Edition) -> None:
        """Remove one with its files."""


class Here:
    """The datasets and editions of a store.

    Args:
        store: Open.
        kept: Where its editions lie.
    """

    def __init__(self, store: Store, kept: EditionStore) -> None:
        self._store, self._kept = store, kept

    def datasets(self) -> list[Dataset]:
        """As `Datasets`."""
        from logos_shift_openai.server.datasets.register import list_datasets  # noqa: PLC0415

        with self._store.reading() as connection:
            return list_datasets(connection)

    def editions(self) -> list[Edition]:
        """As `Datasets`."""
        from logos_shift_openai.server.datasets.register import list_editions  # noqa: PLC0415

        with self._store.reading() as connection:
            return list_editions(connection)

    def edition(self, name: str) -> Edition:
        """As `Datasets`."""
        from logos_shift_openai.server.datasets.register import find_edition  # noqa: PLC0415

        with self._store.reading() as connection:
            found = find_edition(connection, name)
        if found is None:
            raise _none(name)
        return found

    def build(self, choice: Choice, advance: Callable[[int], None]) -> Edition:
        """As `Datasets`."""
        from logos_shift_openai.server.datasets.register import make_edition  # noqa: PLC0415

        return make_edition(self._store, self._kept, choice, now_ms(), advance)

    def parts(self, edition: Edition, part: str) -> Iterator[bytes]:
        """As `Datasets`."""
        return self._kept.read(edition.id, f"{part}.jsonl")[1]

    def remove(self, edition: Edition) -> None:
        """As `Datasets`."""
        from logos_shift_openai.server.datasets.register import remove_edition  # noqa: PLC0415

        remove_edition(self._store, self._kept, edition.id)


class There:
    """The datasets and editions of a server."""

    def __init__(self, server: Remote) -> None:
        self._server = server

    def datasets(self) -> list[Dataset]:
        """As `Datasets`."""
        from logos_shift_openai.server.datasets.register import Dataset  # noqa: PLC0415

        found = self._server.all("/v1/datasets", "datasets")
        try:
            return [Dataset(**one) for one in found]
        except TypeError as error:
            raise self._server.strange(error) from None

    def editions(self) -> list[Edition]:
        """As `Datasets`."""
        return [self._edition(one) for one in self._server.all("/v1/editions", "editions")]

    def edition(self, name: str) -> Edition:
        """As `Datasets`."""
        try:
            return self._edition(self._server.ask("GET", _path(name)))
        except SaidNoError as error:
            if error.status == _NOT_FOUND:
                raise _none(name) from None
            raise

    def build(self, choice: Choice, advance: Callable[[int], None]) -> Edition:
        """As `Datasets`; the server goes on with it, should we be stopped."""
        asked = choice.said()
        asked.pop("redaction")  # the server's to say
        build = self._server.one("POST", "/v1/edition-builds", asked, having=_BUILD)
        while build["state"] == "running":
            advance(build["read"])
            time.sleep(_LOOK_SECONDS)
            build = self._server.one("GET", f"/v1/edition-builds/{quote(str(build['id']), safe='')}", having=_BUILD)
        if build["state"] != "made":
            raise CommandError(str(build["said"]))
        return self.edition(str(build["edition"]))

    def parts(self, edition: Edition, part: str) -> Iterator[bytes]:
        """As `Datasets`."""
        return self._server.parts(f"{_path(edition.id)}/{part}.jsonl")

    def remove(self, edition: Edition) -> None:
        """As `Datasets`."""
        self._server.ask("DELETE", _path(edition.id))

    def _edition(self, told: Any) -> Edition:
        from logos_shift_openai.server.datasets.register import Edition  # noqa: PLC0415

        try:
            found = Edition(**told)
            whole = found.manifest.keys() >= _SAID
        except (TypeError, AttributeError) as error:
            raise self._server.strange(error) from None
        if not whole:
            raise self._server.strange(TypeError("no manifest"))
        return found


@contextmanager
def datasets_of(place: Place, url: str | None, database_url: str | None, *, create: bool = False) -> Iterator[Datasets]:
    """Give the datasets that a command is about: of a database, else of a server, else of the home folder.

    Raises:
        CommandError: they cannot be reached, or what was asked for within the block cannot be.
    """
    from logos_shift_openai.server.datasets.choosing import EditionError  # noqa: PLC0415
    from logos_shift_openai.server.datasets.keeping import editions_of  # noqa: PLC0415

    server = None if database_url else server_of(url)
    if server is not None:
        yield There(server)
        return
    with opened(place, create=create and not database_url, address=database_url) as store:
        try:
            yield Here(store, editions_of(store, place.home / "editions"))
        except EditionError as error:
            raise CommandError(str(error)) from None


def _none(name: str) -> CommandError:
    return CommandError(f"no edition, or more than one, begins with {name}; see logos-shift dataset list")


def _path(name: str) -> str:
    return f"/v1/editions/{quote(name, safe='')}"
