"""Calls whose client left the bodies behind: counted as all others, and marked."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.server.calls import find_call
from logos_shift_openai.server.statistics import totals, variant_statistics

if TYPE_CHECKING:
    from logos_shift_openai.server.store.database import Store


@pytest.mark.parametrize("careful", [False, True])
def test_they_are_counted_with_their_tokens_and_marked(store: Store, lines: Any, take: Any, careful: bool) -> None:
    """By both ways of a line into the store; a metadata with a NUL goes the careful one."""
    metadata = {"a": "\0"} if careful else {}
    usage = {"usage": {"prompt_tokens": 3, "completion_tokens": 2}}
    take(
        lines.call(id="whole", response=usage, metadata=metadata),
        lines.call(id="head", request=b"null", response=usage, metadata=metadata, bodies=False),
    )
    with store.reading() as connection:
        whole, head = find_call(connection, "whole"), find_call(connection, "head")
        (counted,) = variant_statistics(connection)
        assert totals(connection).calls == counted.calls == 2
    assert whole is not None
    assert head is not None
    assert "bodies" not in whole
    assert whole["response"] == usage
    assert (head["bodies"], head["request"], head["response"]) == (False, None, None)
    assert (head["tokens_in"], head["tokens_out"]) == (whole["tokens_in"], whole["tokens_out"]) == (3, 2)
