"""The nearest logged examples to a question, from an index that is a file: for a candidate that needs no training.

The file is JSON lines: a head, then an example a line, a question and its answer. Its name is the SHA-256 of its bytes.
Ranking is BM25 (Robertson, Zaragoza, *The Probabilistic Relevance Framework: BM25 and Beyond*, 2009, equation 3.15,
k1 = 1.2, b = 0.75) over an inverted index. A question's words are taken from the rarest to the commonest until
`POSTINGS` entries have been looked at, which bounds the time of a question whatever the number of examples; what is
left out then are its commonest words, which tell least.
"""

from __future__ import annotations

import hashlib
import json
import math
import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

FORMAT: Final = "logos-shift-examples/1"
POSTINGS: Final = 2_500
MAX_BYTES: Final = 32 * 2**20
_K1: Final = 1.2
_B: Final = 0.75
_WORD: Final = re.compile(r"\w+")
_WORDS: Final = 256  # of a question; the rest of a long one is left out
_SYSTEM: Final = frozenset({"system", "developer"})


class Example(NamedTuple):
    """A question as a user asked it, and the answer that was good."""

    question: str
    answer: str


class ExampleIndex:
    """All examples of a file, ready to be asked. It never changes.

    Args:
        examples: In the order of the file.
    """

    def __init__(self, examples: Sequence[Example]) -> None:
        self._examples = list(examples)
        counts = [Counter(_words(one.question)) for one in self._examples]
        sizes = [sum(count.values()) for count in counts]
        mean = (sum(sizes) / len(sizes) if sizes else 0.0) or 1.0
        places: dict[str, list[tuple[int, int]]] = {}
        for place, count in enumerate(counts):
            for word, times in count.items():
                places.setdefault(word, []).append((place, times))
        total = len(self._examples)
        self._postings: dict[str, list[tuple[int, float]]] = {}
        for word, found in places.items():
            rare = math.log(1.0 + (total - len(found) + 0.5) / (len(found) + 0.5))
            self._postings[word] = [
                (place, rare * times * (_K1 + 1.0) / (times + _K1 * (1.0 - _B + _B * sizes[place] / mean)))
                for place, times in found
            ]

    def __len__(self) -> int:
        return len(self._examples)

    def nearest(self, question: str, count: int) -> list[Example]:
        """Find the nearest examples, the nearest first; fewer where fewer share a word with the question.

        Args:
            question: Any text.
            count: How many.
        """
        found = [self._postings[word] for word in set(_words(question)[:_WORDS]) if word in self._postings]
        found.sort(key=len)
        scores: dict[int, float] = {}
        left = POSTINGS
        get = scores.get
        for postings in found:
            if left <= 0:
                break
            for place, weight in postings[:left]:
                scores[place] = get(place, 0.0) + weight
            left -= len(postings)
        best = sorted(((-score, place) for place, score in scores.items()))[:count]
        return [self._examples[place] for _, place in best]


class BadIndexError(ValueError):
    """A file that is no index, or not the one that was asked for."""


def index_bytes(examples: Iterable[Example]) -> bytes:
    """Write an index's file; the same examples give the same bytes."""
    lines = [json.dumps(list(one), ensure_ascii=False, separators=(",", ":")) for one in examples]
    head = json.dumps({"format": FORMAT, "count": len(lines)}, separators=(",", ":"))
    return "".join(f"{line}\n" for line in (head, *lines)).encode("utf-8", "surrogatepass")


def name_of(content: bytes) -> str:
    """Name a file by its content."""
    return hashlib.sha256(content).hexdigest()


def read_index(content: bytes, name: str) -> ExampleIndex:
    """Read an index's file.

    Args:
        content: Its bytes.
        name: The name that a config asked for.

    Raises:
        BadIndexError: it is another file, or no index.
    """
    if name_of(content) != name:
        raise BadIndexError("the file is not the one that its name says")
    try:
        head, *lines = content.decode("utf-8", "surrogatepass").rstrip("\n").split("\n")
        known = json.loads(head).get("format") == FORMAT
        examples = [_example(json.loads(line)) for line in lines] if known else []
    except (ValueError, AttributeError, TypeError, RecursionError) as error:
        raise BadIndexError(f"the file is no index ({type(error).__name__})") from None
    if not known:
        raise BadIndexError("the file is of another format")
    return ExampleIndex(examples)


def example_of(row: Mapping[str, Any]) -> Example | None:
    """Take the question and the answer out of a chat of one round; None where it is another kind of chat."""
    messages = row.get("messages")
    if not isinstance(messages, list) or not all(isinstance(one, dict) for one in messages):
        return None
    rounds = [one for one in messages if one.get("role") not in _SYSTEM]
    if [one.get("role") for one in rounds] != ["user", "assistant"]:
        return None
    question, answer = text_of(rounds[0].get("content")), rounds[1].get("content")
    if not question.strip() or not isinstance(answer, str) or not answer.strip():
        return None
    return Example(question, answer)


def with_examples(messages: Sequence[Any], index: ExampleIndex, count: int) -> list[Any]:
    """Put the nearest examples into a chat, as rounds between the system text and the rest.

    The nearest stands last, next to the question that it is near to.

    Args:
        messages: The chat; it stays as it is.
        index: The examples.
        count: How many.

    Raises:
        ValueError: no user says anything in it, so nothing can be near.
    """
    asked = next((one for one in reversed(messages) if isinstance(one, dict) and one.get("role") == "user"), None)
    question = "" if asked is None else text_of(asked.get("content"))
    if not question.strip():
        raise ValueError("the chat has no question of a user")
    head = 0
    while head < len(messages) and isinstance(messages[head], dict) and messages[head].get("role") in _SYSTEM:
        head += 1
    rounds = [message for one in reversed(index.nearest(question, count)) for message in _round(one)]
    return [*messages[:head], *rounds, *messages[head:]]


def text_of(content: Any) -> str:
    """Give the text of a message's content, of its text parts where it has parts."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else ()
    texts = (part.get("text") for part in parts if isinstance(part, dict))
    return " ".join(text for text in texts if isinstance(text, str))


def _round(one: Example) -> Iterator[dict[str, str]]:
    yield {"role": "user", "content": one.question}
    yield {"role": "assistant", "content": one.answer}


def _example(found: Any) -> Example:
    question, answer = found
    if not isinstance(question, str) or not isinstance(answer, str):
        raise TypeError("an example is two texts")
    return Example(question, answer)


def _words(text: str) -> list[str]:
    return _WORD.findall(text.lower())
