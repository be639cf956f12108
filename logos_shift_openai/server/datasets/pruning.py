"""System texts that all calls of a dataset share, which a tuned model needs not be told again and again.

Rule: a text is constant where at least nine of ten calls among the first thousand say it word for word. What is found
is written into the edition, and the candidate's config must name the same texts (`prompt.prune`), so that training and
calls are alike.
"""

from __future__ import annotations

from collections import Counter
from itertools import islice
from typing import TYPE_CHECKING, Final

from .bodies import LeftOutError, read_pack
from .reading import sources

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store

    from .choosing import Choice

_LOOKED_AT: Final = 1_000
_SHARE: Final = 0.9
_PROGRAM: Final = frozenset({"system", "developer"})


def constant_texts(store: Store, choice: Choice) -> tuple[str, ...]:
    """Find the system texts that are constant, in the order of the alphabet.

    Raises:
        StoreError: the store cannot be read.
    """
    found: Counter[str] = Counter()
    looked_at = 0
    for source in islice(sources(store, choice), _LOOKED_AT):
        try:
            asked = read_pack(source.pack).request
        except LeftOutError:
            continue
        looked_at += 1
        texts = [one.content for one in asked.messages if one.role in _PROGRAM and isinstance(one.content, str)]
        found.update(set(texts))
    return tuple(sorted(text for text, count in found.items() if count >= _SHARE * looked_at))
