"""What is kept of an error: bounded, and the cut is seen."""

from __future__ import annotations

import openai
import pytest

from logos_shift_openai.client.call import described


@pytest.mark.parametrize(("letters", "kept", "end"), [(2_000, 2_000, "x"), (2_001, 2_000, "… [1 letters more]"),
                                                      (1_002_000, 2_000, "… [1,000,000 letters more]")])  # fmt: skip
def test_a_page_in_the_place_of_an_error_is_cut_where_it_is_seen(letters, kept, end):
    """The message and the code of a provider are as long as they like."""
    error = openai.APIConnectionError(message="x" * letters, request=None)
    error.code = "c" * letters
    found = described(error)
    assert found.message.startswith("x" * kept)
    assert found.message.endswith(end)
    assert len(found.message) <= kept + 40
    assert len(found.code) <= 240
