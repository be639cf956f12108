"""From a call to a training example, or to the one reason why not.

Theory of operation. A call is decoded in one pass into typed structs, so that of 4 KB only the texts become Python
objects; plain calls (texts alone) need no further look. What has tools or parts goes through `core.chat_messages`,
which checks whatever a line may hold. Redaction comes before anything is hashed: two prompts that differ in an address
alone are one prompt in the edition, and must not stand in both splits. Calls are redacted some at a time: what none of
them holds is looked for once.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from msgspec import UNSET

from logos_shift_openai.core.fingerprint import prompt_fingerprint, text_hash

from .asked import asked_line
from .bodies import (
    PROGRAM,
    Asked,
    LeftOutError,
    Line,
    Message,
    Pack,
    fields_of,
    is_program,
    read_pack,
    text_of,
    there,
)
from .fitting import answer_in, answer_of, as_answer, check_asked, is_plain, refuse_broken
from .other_endpoints import as_chat_pack
from .scrubbing import UncleanError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from logos_shift_openai.core.redaction import Plan

    from .choosing import Choice
    from .reading import Source
    from .scrubbing import Scrubber


@dataclass(slots=True)
class Example:
    """What can be learnt from one call.

    Args:
        prompt: Messages before the answer, with the tools.
        answer: The one to learn.
        given: The answer that was corrected, where there was one.
        fingerprint: Of the prompt as the program wrote it.
        conversation: Hash of what the conversation begins with, letters made small: the split goes by it.
        texts: The texts of user, assistant and tools, in order, for comparing.
        pack: The bodies of the call, a chat's.
    """

    prompt: Line
    answer: Message
    given: Message | None
    fingerprint: str | None
    conversation: str
    texts: list[str]
    pack: bytes


_REMEMBERED: Final = 4_096


class Draft(NamedTuple):
    """An example before it is redacted.

    Args:
        pack: The call's bodies, a chat's.
        asked: The request.
        messages: Its messages, without what is pruned.
        spoken: Those that are redacted one by one: all but the program's texts, then the answer, then the one that
            was given before.
        corrected: Whether there is one that was given before.
        fingerprint: As of `Example`.
    """

    pack: bytes
    asked: Asked
    messages: list[Message]
    spoken: list[Message]
    corrected: bool
    fingerprint: str | None


class Maker:
    """Makes examples of calls.

    Args:
        choice: The rules.
        scrubber: Redacts.
        prune: System texts that are left out.
    """

    def __init__(self, choice: Choice, scrubber: Scrubber, prune: frozenset[str] = frozenset()) -> None:
        self._choice = choice
        self._scrub = scrubber
        self._prune = prune
        self._fingerprints: dict[tuple[Any, ...], str | None] = {}

    def example(self, source: Source, other: Message | None = None) -> Example:
        """Make the example of one call.

        Args:
            source: The call.
            other: Another answer to it, which is redacted with it and then its `given`.

        Raises:
            LeftOutError: it makes none.
            UncleanError: it cannot be redacted for sure.
        """
        draft = self.draft(source, other)
        return self.finished(draft, self.suspected([draft]))

    def suspected(self, drafts: Sequence[Draft]) -> Plan | None:
        """Look over drafts: what has to be looked for in each of them."""
        return self._scrub.suspected([one.spoken for one in drafts])

    def draft(self, source: Source, other: Message | None = None) -> Draft:
        """Take of a call what can be learnt.

        Args:
            source: The call.
            other: Another answer to it.

        Raises:
            LeftOutError: nothing can.
        """
        corrected = source.correction is not None
        if not corrected:
            self._refuse_end(source)
        bodies, said = as_chat_pack(source.endpoint, source.pack)
        pack = self._read(bodies)
        asked = pack.request
        given = pack.response.choices[0] if pack.response is not None and pack.response.choices else None
        answer = answer_of(given) if source.correction is None else answer_in(source.correction)
        fingerprint = source.told.fingerprint or said or self._fingerprint(asked)
        if self._choice.fingerprint is not None and fingerprint != self._choice.fingerprint:
            raise LeftOutError("fingerprint")
        check_asked(source, asked, answer)
        plain = is_plain(asked.messages) and answer.tool_calls is None and not there(asked.tools)
        if not plain:
            refuse_broken(asked, answer)
        before = given.message if corrected and given is not None else other
        messages = [one for one in asked.messages if not self._pruned(one)] if self._prune else asked.messages
        spoken = [one for one in messages if not is_program(one)]
        spoken.append(answer)
        if before is not None:
            spoken.append(before)
        return Draft(bodies or b"", asked, messages, spoken, before is not None, fingerprint)

    def _read(self, bodies: bytes | None) -> Pack:
        """Read the bodies of a chat, as far as an example may be made of them at all."""
        pack = read_pack(bodies)
        asked = pack.request
        if pack.truncated:
            raise LeftOutError("truncated")
        if pack.media:
            raise LeftOutError("media")
        if not asked.messages:
            raise LeftOutError("unreadable")
        if sum([len(one.content) for one in asked.messages if type(one.content) is str]) > self._choice.max_bytes:
            raise LeftOutError("too_long")  # before anything is done that takes time for each letter
        if there(asked.functions):
            raise LeftOutError("tools")
        return pack

    def _refuse_end(self, source: Source) -> None:
        """Leave out what ended badly, as far as the head alone tells."""
        if source.failed:
            raise LeftOutError("error")
        if not source.complete:
            raise LeftOutError("incomplete")
        if source.served == "candidate" and self._choice.answers == "baseline":
            raise LeftOutError("candidate")
        for letter, reason in (("R", "refused"), ("C", "cut"), ("v", "invalid")):
            if letter in source.told.checks:
                raise LeftOutError(reason)

    def _fingerprint(self, asked: Asked) -> str | None:
        """Hash the program's part of a prompt; most calls of a dataset share it."""
        program = [one for one in asked.messages if one.role in PROGRAM]
        key = (
            *(one.content if isinstance(one.content, str) else repr(one.content) for one in program),
            bytes(asked.tools),
            bytes(asked.response_format),
        )
        if key not in self._fingerprints:
            if len(self._fingerprints) >= _REMEMBERED:
                self._fingerprints.clear()
            request: dict[str, Any] = {"messages": [fields_of(one) for one in program]}
            for name in ("tools", "response_format"):
                request[name] = json.loads(bytes(getattr(asked, name)))
            self._fingerprints[key] = prompt_fingerprint(request)
        return self._fingerprints[key]

    def finished(self, draft: Draft, plan: Plan | None) -> Example:
        """Redact a draft.

        Args:
            draft: What can be learnt.
            plan: What was suspected of it and others.

        Raises:
            UncleanError: it cannot be done for sure.
        """
        asked, messages, fingerprint = draft.asked, draft.messages, draft.fingerprint
        spoken = list(self._scrub.messages(draft.spoken, plan))
        given = as_answer(spoken.pop()) if draft.corrected else None
        answer = as_answer(spoken.pop())
        if len(spoken) < len(messages):
            others = iter(spoken)
            messages = [self._program(one) if is_program(one) else next(others) for one in messages]
        else:
            messages = spoken
        for one in messages:
            if one.role == "assistant":
                one.weight = 0  # it is learnt from its own call
                one.refusal = None
        prompt = Line(messages)
        if there(asked.tools):
            prompt.tools = self._scrub.raw(asked.tools)
            prompt.parallel_tool_calls = UNSET if asked.parallel_tool_calls is None else asked.parallel_tool_calls
        texts_said = [text_of(one) for one in messages if one.role not in PROGRAM] or [text_of(o) for o in messages]
        return Example(prompt, answer, given, fingerprint, _conversation(messages, texts_said), texts_said, draft.pack)

    def asked(self, source: Source, example: Example) -> bytes | None:
        """Write what a held-out call asked besides, a line of the file beside the held-out part.

        None where that cannot be redacted for sure.
        """
        try:
            return asked_line(source.id, example.pack, self._scrub)
        except UncleanError:
            return None

    def _program(self, message: Message) -> Message:
        message.content = self._scrub.text(str(message.content))
        return message

    def _pruned(self, message: Message) -> bool:
        return message.role in PROGRAM and message.content in self._prune


def _conversation(messages: list[Message], texts: list[str]) -> str:
    """Hash what a conversation begins with; letters made small, so that a prompt shouted is the same prompt."""
    first = next((text_of(one) for one in messages if one.role == "user"), None)
    found = text_hash((first if first is not None else "\n".join(texts)).lower())
    if found is None:
        raise LeftOutError("unreadable")
    return found
