"""The tuner `none`: a candidate that needs no training.

A plain cheaper model, or a cheaper model with the nearest logged examples in its prompt. The examples travel as one
file named by its content; the client fetches it once in its background, and finds the nearest by itself.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from logos_shift_openai.core.examples import MAX_BYTES, Example, example_of, index_bytes, name_of

from .edition import Edition, EditionError, examples
from .protocol import Candidate, Handle, Progress, RefusedError, Settings, Task

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

MOST_EXAMPLES: Final = 32


class UntrainedTuner:
    """See the module.

    Args:
        keep: Keeps an index's file under its name, where clients and other processes find it.
        ask: Makes sure that a model of a provider answers; None where this process does not know the provider.
    """

    def __init__(
        self, keep: Callable[[str, bytes], None], ask: Callable[[str, str | None], None] | None = None
    ) -> None:
        self._keep = keep
        self._ask = ask

    def check(self, edition: Edition, settings: Settings) -> list[str]:
        """Look whether there are examples, if any are wanted."""
        if not 0 <= settings.examples <= MOST_EXAMPLES:
            return [f"examples: {settings.examples} is not in 0..{MOST_EXAMPLES}"]
        if not settings.examples:
            return []
        try:
            first = next(_examples_of(edition), None)
        except EditionError as error:
            return [str(error)]
        return [] if first is not None else ["the edition has no chat of one question and one answer in text"]

    def find(self, task: Task) -> Handle | None:  # noqa: ARG002 - the protocol's
        """Nothing is begun elsewhere: doing it again does no harm."""
        return None

    def start(self, task: Task) -> Handle:
        """Build the index, if examples are wanted."""
        handle: Handle = {"model": task.settings.model, "provider": task.settings.provider}
        if task.settings.examples:
            try:
                content = index_bytes(_examples_of(task.edition))
            except EditionError as error:
                raise RefusedError(str(error)) from None
            if len(content) > MAX_BYTES:
                raise RefusedError(
                    f"the examples are {len(content):,} bytes, more than {MAX_BYTES:,}", "build a smaller edition"
                )
            name = name_of(content)
            self._keep(name, content)
            handle |= {"index": name, "count": task.settings.examples}
        return handle

    def status(self, handle: Handle) -> Progress:
        """Tell that it is done."""
        return Progress("succeeded", "nothing to train", 1.0, model=str(handle["model"]))

    def cancel(self, handle: Handle) -> None:
        """There is nothing to end."""

    def serve(self, handle: Handle) -> Candidate:
        """Ask the model something, where this process knows its provider."""
        model, provider = str(handle["model"]), handle.get("provider")
        if self._ask is not None:
            self._ask(model, provider)
        found = {"index": handle["index"], "count": handle["count"]} if "index" in handle else None
        return Candidate(model, provider, examples=found)


def _examples_of(edition: Edition) -> Iterator[Example]:
    for _, row in examples(edition.train):
        one = example_of(row)
        if one is not None:
            yield one
