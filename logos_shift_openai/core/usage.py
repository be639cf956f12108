"""What an answer says that it used: the counts of tokens alone, in the names that the two APIs have for them.

Its rule: what is no count is left out, so that whatever a provider put beside the counts gets no further.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

COUNT_MAX: Final = 2**31 - 1
_TOKENS: Final = ("prompt_tokens", "completion_tokens", "input_tokens", "output_tokens")
_DETAILS: Final = ("prompt_tokens_details", "input_tokens_details")


def counts_in(usage: object) -> dict[str, Any] | None:
    """Give the counts of a usage as far as they are counts; None where neither reading nor writing has one.

    Args:
        usage: The `usage` of an answer of chat completions or of the Responses API, as JSON has it.
    """
    if not isinstance(usage, Mapping):
        return None
    found: dict[str, Any] = {name: usage[name] for name in _TOKENS if _is_count(usage.get(name))}
    for name in _DETAILS:
        details = usage.get(name)
        if found and isinstance(details, Mapping):
            cached = details.get("cached_tokens")
            found[name] = {"cached_tokens": cached} if _is_count(cached) else {}
    return found or None


def tokens_in(usage: Mapping[str, Any]) -> tuple[int | None, int | None, int | None]:
    """Give the tokens read, written, and read from a cache, of what `counts_in` gave."""
    details = usage.get("prompt_tokens_details", usage.get("input_tokens_details", {}))
    return (
        usage.get("prompt_tokens", usage.get("input_tokens")),
        usage.get("completion_tokens", usage.get("output_tokens")),
        details.get("cached_tokens"),
    )


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= COUNT_MAX
