"""The list of models: prices, shutdown dates, tuned ones."""

from __future__ import annotations

from datetime import date
from typing import TYPE_CHECKING

import openai
import pytest

from logos_shift_openai.lab import price

if TYPE_CHECKING:
    from logos_shift_openai.lab import Lab


def test_both_models_are_listed_with_their_prices(client: openai.OpenAI) -> None:
    """Each entry has OpenAI's fields, a shutdown date (null), and what its tokens cost."""
    models = {model.id: model.model_dump() for model in client.models.list()}
    assert set(models) == {"oracle-large", "tiny-base"}
    assert models["oracle-large"]["shutdown_date"] is None
    large, tiny = (models[name]["pricing"]["input_usd_per_million"] for name in ("oracle-large", "tiny-base"))
    assert large > 50 * tiny


def test_a_shutdown_date_is_announced(lab: Lab, client: openai.OpenAI) -> None:
    """The day stands in the list and on the model itself until it is taken back."""
    lab.set_shutdown_date("oracle-large", date(2027, 1, 14))
    assert client.models.retrieve("oracle-large").model_dump()["shutdown_date"] == "2027-01-14"
    assert [m.model_dump()["shutdown_date"] for m in client.models.list()] == ["2027-01-14", None]
    lab.set_shutdown_date("oracle-large", None)
    assert client.models.retrieve("oracle-large").model_dump()["shutdown_date"] is None


def test_an_unknown_model_cannot_be_had(client: openai.OpenAI) -> None:
    """404 for retrieving and deleting."""
    for call in (client.models.retrieve, client.models.delete):
        with pytest.raises(openai.NotFoundError):
            call("no-such-model")


def test_built_in_models_stay(client: openai.OpenAI) -> None:
    """Only tuned models can be deleted."""
    with pytest.raises(openai.PermissionDeniedError):
        client.models.delete("tiny-base")


def test_prices_are_reckoned() -> None:
    """A tuned model costs what its base costs; an unknown one has no price."""
    assert price("oracle-large").cost(1_000_000, 1_000_000) == 40.0
    assert price("ft:tiny-base:lab::abcdefgh") == price("tiny-base")
    with pytest.raises(KeyError):
        price("gpt-9")
