"""The shipped rows: what is in them, and that held-out means held out."""

from __future__ import annotations

from importlib import resources

import pytest

from logos_shift_openai.lab import data


def test_ten_intents_with_their_rows_are_there() -> None:
    """The counts are those the licence note describes, and both splits know the same ten intents."""
    train, test = data.rows("train"), data.rows("test")
    assert (len(train), len(test)) == (1403, 199)
    assert len(data.labels()) == 10
    assert {intent for _, intent in test} == set(data.labels())


def test_no_test_text_stands_in_train() -> None:
    """Compared in lower case with blanks squeezed, no held-out text was seen in training."""
    train = {" ".join(text.lower().split()) for text, _ in data.rows("train")}
    assert not [text for text, _ in data.rows("test") if " ".join(text.lower().split()) in train]


def test_intents_can_be_chosen() -> None:
    """Only the rows of the wanted intents come back."""
    rows = data.rows("test", intents=["age_limit", "atm_support"])
    assert {intent for _, intent in rows} == {"age_limit", "atm_support"}


def test_wrong_names_are_refused_with_the_right_ones() -> None:
    """An unknown intent or split raises and says what there is."""
    with pytest.raises(ValueError, match=r"no_such.*not among.*age_limit"):
        data.rows("train", intents=["no_such"])
    with pytest.raises(ValueError, match="neither 'train' nor 'test'"):
        data.rows("dev")  # type: ignore[arg-type]


def test_the_caller_gets_a_list_of_its_own() -> None:
    """Changing what rows() gave changes nothing for the next caller."""
    data.rows("test").clear()
    assert len(data.rows("test")) == 199


def test_licence_and_attribution_lie_beside_the_rows() -> None:
    """The CC-BY text and the note of source and changes ship with the data, which stays below 200 KB."""
    folder = resources.files(data)
    sizes = {entry.name: len(entry.read_bytes()) for entry in folder.iterdir() if entry.is_file()}
    assert "CC-BY-4.0" in (folder / "LICENSE-attribution.txt").read_text("utf-8")
    assert "Attribution 4.0 International" in (folder / "LICENSE-banking77.txt").read_text("utf-8")
    assert sum(sizes.values()) < 200_000
