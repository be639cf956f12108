"""What stands in an edition already: the same prompt, or nearly the same example.

A prompt is known by a hash of its texts with case and white space evened out, 16 bytes each. Near duplicates are found
by MinHash over pairs of words (Broder 1997, "On the resemblance and containment of documents") with the library rensa,
which has no dependencies.
"""

from __future__ import annotations

from hashlib import blake2b
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Final

from logos_shift_openai.core.fingerprint import single_spaced

from .choosing import EditionError

if TYPE_CHECKING:
    from .examples import Example

_SIZE: Final = 16
_PERMUTATIONS: Final = 64
_SHORT: Final = 200
_SEED: Final = 1


def evened(text: str) -> str:
    """Make letters small and every white space one blank."""
    return single_spaced(text.lower())


def prompt_digest(example: Example) -> bytes:
    """Hash a prompt: what the program wrote, and what was said.

    The conversation's own hash stands for its first turn, which is evened out there already.
    """
    texts = example.texts
    parts = [example.conversation, example.fingerprint or ""]
    if len(texts) > 1:
        parts += map(evened, texts)
    return blake2b("\x1e".join(parts).encode(), digest_size=_SIZE).digest()


def answer_digest(text: str) -> bytes:
    """Hash an answer; of a short one (a label) case and white space are evened out."""
    said = text if len(text) > _SHORT else evened(text)
    return blake2b(said.encode(), digest_size=_SIZE).digest()


class NearDuplicates:
    """Finds examples that are nearly the same as one before.

    Args:
        likeness: From this estimated Jaccard likeness on, in (0, 1].

    Raises:
        EditionError: the library is not installed.
    """

    def __init__(self, likeness: float) -> None:
        try:
            import rensa  # type: ignore[import-untyped]  # noqa: PLC0415 - an extra of its own
        except ImportError:
            raise EditionError('near duplicates need: pip install "logos_shift_openai[neardup]"') from None
        self._rensa: Any = rensa
        self._bands = _bands(likeness)
        self._seen: Any = rensa.RMinHashDeduplicator(likeness, _PERMUTATIONS, True, self._bands, _SEED)
        self._count = 0

    def is_new(self, example: Example, answer: str) -> bool:
        """Tell whether nothing like it was seen, and remember it then."""
        minhash = self._rensa.RMinHash(num_perm=_PERMUTATIONS, seed=_SEED)
        minhash.update(_shingles("\n".join(example.texts), answer))
        self._count += 1
        return bool(self._seen.add(str(self._count), minhash))


def _bands(likeness: float) -> int:
    """Choose the bands of 64 values with which a likeness is surely seen: the fewest whose threshold is well below.

    Two sets of likeness s meet in one of b bands of r values with the chance 1 - (1 - s^r)^b, which is half at about
    (1/b)^(1/r) (Leskovec, Rajaraman, Ullman, *Mining of Massive Datasets*, 3.4).
    """
    for bands in (4, 8, 16, 32):
        rows = _PERMUTATIONS // bands
        if 1 - (1 - likeness**rows) ** bands >= 0.99:  # noqa: PLR2004 - of a hundred, one may be missed
            return bands
    return 32


def _shingles(prompt: str, answer: str) -> list[str]:
    """Give the pairs of words that stand for an example.

    A short answer (a label, a number) is put into each of them: prompts alike with different labels are what a
    model has to learn to tell apart, so they are not near duplicates. A long one counts as more text.
    """
    words, tag = evened(prompt).split(), evened(answer)
    if len(tag) > _SHORT:
        words, tag = [*words, *tag.split()], ""
    if len(words) < 2:  # noqa: PLR2004 - no pair
        return [f"{tag}\x1e{one}" for one in words or [""]]
    return [f"{tag}\x1e{one} {two}" for one, two in pairwise(words)]
