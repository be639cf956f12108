"""What the caller says about a call: dataset, user, conversation, metadata, whether to record and route it.

Said for a stretch of code by `context(...)`, for one call by `headers(...)`, for a client by `LogosShift(...)`;
nearer beats farther, metadata are merged. The stretch is a context variable: tasks and `asyncio.to_thread` inherit it,
a plain thread starts without it. Headers are taken off at the seam and never leave the process.
"""

from __future__ import annotations

import json
from collections import deque
from contextvars import ContextVar, Token
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, unquote

from typing_extensions import Self

if TYPE_CHECKING:
    from collections.abc import Mapping
    from types import TracebackType

PREFIX: Final = "x-logos-shift-"
_SAFE: Final = " !#$&'()*+,/:;=?@[]~\"<>^`{|}"
_NONE: Final[Mapping[str, Any]] = {}
_IDS_KEPT: Final = 1_000


@dataclass(frozen=True, slots=True)
class CallContext:
    """What has been said so far; None means that nothing was said of it."""

    dataset: str | None = None
    user_id: str | None = None
    conversation_id: str | None = None
    metadata: Mapping[str, Any] = field(default_factory=lambda: _NONE)
    log: bool | None = None
    route: bool | None = None
    parent: str | None = None
    call_ids: tuple[deque[str], ...] = ()

    def over(self, farther: CallContext) -> CallContext:
        """Lay this over what was said farther away."""
        if farther is EMPTY:
            return self
        return CallContext(
            dataset=self.dataset if self.dataset is not None else farther.dataset,
            user_id=self.user_id if self.user_id is not None else farther.user_id,
            conversation_id=self.conversation_id if self.conversation_id is not None else farther.conversation_id,
            metadata={**farther.metadata, **self.metadata} if farther.metadata else self.metadata,
            log=self.log if self.log is not None else farther.log,
            route=self.route if self.route is not None else farther.route,
            parent=self.parent if self.parent is not None else farther.parent,
            call_ids=self.call_ids + farther.call_ids,
        )


EMPTY: Final = CallContext()
current: ContextVar[CallContext] = ContextVar("logos_shift_context", default=EMPTY)


def _text(value: object) -> str | None:
    """Take an id that is a number for its text, as `headers` does."""
    return None if value is None else str(value)


class context:  # noqa: N801 - used like a function
    """Say something about every call made inside a `with` block, however deep.

    Args:
        dataset: The use case that the calls belong to.
        user_id: The end user; the sticky unit of experiments.
        conversation_id: The conversation, the unit where there is no user.
        metadata: Any JSON object; merged with what outer blocks said.
        log: False leaves the calls unrecorded.
        route: False sends them to the requested model.

    The block gives an object whose `call_ids` lists the ids of the calls made inside, in order, also those made
    by a framework that hides the answers.
    """

    def __init__(
        self,
        *,
        dataset: str | None = None,
        user_id: str | None = None,
        conversation_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        log: bool | None = None,
        route: bool | None = None,
    ) -> None:
        self._ids: deque[str] = deque(maxlen=_IDS_KEPT)
        self._said = CallContext(
            _text(dataset),
            _text(user_id),
            _text(conversation_id),
            dict(metadata) if metadata else _NONE,
            log,
            route,
            None,
            (self._ids,),
        )
        self._tokens: list[Token[CallContext]] = []

    @property
    def call_ids(self) -> list[str]:
        """The ids of the calls begun inside so far, in order; the last thousand of them."""
        return list(self._ids)

    def __enter__(self) -> Self:
        """Begin the block."""
        self._tokens.append(current.set(self._said.over(current.get())))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        """End the block."""
        leave(self._tokens.pop())


def enter_parent(call_id: str, said: CallContext) -> Token[CallContext]:
    """Make a decorated function's call the parent of the calls inside it, until `leave` gets the token."""
    return current.set(replace(said, parent=call_id).over(current.get()))


def leave(token: Token[CallContext]) -> None:
    """Take back what a token stands for; a block that ends in another context than it began in has nothing to undo."""
    try:
        current.reset(token)
    except ValueError:
        return


def headers(
    *,
    dataset: str | None = None,
    user_id: str | None = None,
    conversation_id: str | None = None,
    metadata: Mapping[str, Any] | None = None,
    log: bool | None = None,
    route: bool | None = None,
) -> dict[str, str]:
    """Say something about one call, or one client, through any framework: for `extra_headers` or `default_headers`.

    Args:
        dataset: As in `context`, like all others.
        user_id: The end user.
        conversation_id: The conversation.
        metadata: A JSON object.
        log: False leaves the call unrecorded.
        route: False sends it to the requested model.

    Raises:
        TypeError: metadata holds something that JSON cannot say.
    """
    said: dict[str, str] = {}
    for name, text in (("Dataset", dataset), ("User-Id", user_id), ("Conversation-Id", conversation_id)):
        if text is not None:
            said[f"X-Logos-Shift-{name}"] = quote(str(text), safe=_SAFE)
    if metadata:
        said["X-Logos-Shift-Metadata"] = json.dumps(metadata)
    for name, flag in (("Log", log), ("Route", route)):
        if flag is not None:
            said[f"X-Logos-Shift-{name}"] = "on" if flag else "off"
    return said


def is_ours(name: object) -> bool:
    """Tell whether a header is one of ours."""
    return isinstance(name, str) and name[:14].lower() == PREFIX


def read_headers(given: Mapping[str, Any]) -> CallContext:
    """Read our headers back, forgiving: a value that cannot be meant says nothing."""
    said: dict[str, Any] = {}
    for name, value in given.items():
        if not is_ours(name) or not isinstance(value, str):
            continue
        key = name[14:].lower().replace("-", "_")
        if key in {"dataset", "user_id", "conversation_id"} and value:
            said[key] = unquote(value)
        elif key in {"log", "route"}:
            said[key] = value.strip().lower() not in {"off", "false", "0", "no"}
        elif key == "metadata":
            try:
                metadata = json.loads(value)
            except ValueError:
                continue
            if isinstance(metadata, dict):
                said[key] = metadata
    return CallContext(**said)
