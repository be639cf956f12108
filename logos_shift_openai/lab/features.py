"""What a text looks like to the lab's small model: words, word pairs and pieces of words.

Owns the way from chat messages to a set of strings; the model only ever sees such sets. Pure functions.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from itertools import pairwise

Message = Mapping[str, object]

_WORD = re.compile(r"\w+|[?!]")
_SHORTEST, _LONGEST = 3, 5


def text_of(content: object) -> str:
    """Take the text out of a message's ``content``: a string, a list of parts, or nothing."""
    if isinstance(content, str):
        return content
    if isinstance(content, Sequence):
        parts = [part.get("text") for part in content if isinstance(part, Mapping)]
        return "\n".join(part for part in parts if isinstance(part, str))
    return ""


def question(messages: Sequence[Message]) -> str:
    """Take the text of the last user message, "" where there is none."""
    for message in reversed(messages):
        if message.get("role") == "user":
            return text_of(message.get("content"))
    return ""


def system_prompt(messages: Sequence[Message]) -> str:
    """Join the texts of the system and developer messages."""
    texts = [text_of(m.get("content")) for m in messages if m.get("role") in ("system", "developer")]
    return "\n".join(texts)


def words(text: str) -> list[str]:
    """Split a text into lower-case words; ``?`` and ``!`` count as words."""
    return _WORD.findall(text.lower())


def features(messages: Sequence[Message]) -> set[str]:
    """Turn a conversation into features.

    The last user message gives words, word pairs, and pieces of 3 to 5 characters with the word's ends
    marked; every other message gives its words only, marked with its role, so that a question never
    mixes with its surroundings. What the assistant called before is a feature too, and who spoke last if it was
    not the user.
    """
    found: set[str] = set()
    if messages and messages[-1].get("role") != "user":
        found.add(f"last:{messages[-1].get('role')}")
    last = max((i for i, message in enumerate(messages) if message.get("role") == "user"), default=-1)
    for position, message in enumerate(messages):
        text = text_of(message.get("content"))
        if position == last:
            found.update(_question_features(words(text)))
        else:
            found.update(f"{message.get('role')}:{word}" for word in words(text))
            found.update(f"called:{name}" for name in _called(message))
    return found


def _called(message: Message) -> list[str]:
    calls = message.get("tool_calls")
    functions = [call.get("function") for call in calls if isinstance(call, Mapping)] if isinstance(calls, list) else []
    return [str(function.get("name")) for function in functions if isinstance(function, Mapping)]


def _question_features(tokens: list[str]) -> set[str]:
    found = set(tokens)
    found.update(f"{first} {second}" for first, second in pairwise(tokens))
    for token in tokens:
        marked = f"<{token}>"
        for length in range(_SHORTEST, _LONGEST + 1):
            found.update(f"~{marked[i : i + length]}" for i in range(len(marked) - length + 1))
    return found
