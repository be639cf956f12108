"""How values are written for people."""

from __future__ import annotations

import pytest

from logos_shift_openai.cli.output import age, clean, clean_block, milliseconds, moment, percent


@pytest.mark.parametrize(
    ("value", "text"),
    [
        *[(None, ""), (0.0, "0.0 ms"), (0.84, "0.8 ms"), (9.94, "9.9 ms"), (512.4, "512 ms")],
        *[(999.4, "999 ms"), (999.6, "1.0 s"), (12_345.0, "12.3 s"), (99_949.0, "99.9 s"), (120_500.0, "120 s")],
    ],
)
def test_durations(value: float | None, text: str) -> None:
    """Two or three figures with their unit."""
    assert milliseconds(value) == text


@pytest.mark.parametrize(
    ("seconds", "text"),
    [
        (0, "0s"),
        (-5, "0s"),
        (59, "59s"),
        (60, "1m"),
        (3_599, "59m"),
        (3_600, "1h"),
        (172_799, "47h"),
        (172_800, "2d"),
    ],
)
def test_ages(seconds: int, text: str) -> None:
    """A number and a letter; a clock that is behind gives no negative age."""
    assert age(1_000_000_000, 1_000_000_000 + seconds * 1000) == text


def test_shares_and_moments() -> None:
    """Percent without needless zeros; a time beyond the calendar as its number."""
    assert [percent(points) for points in (500, 50, 5, 10_000, 1234)] == [
        "5 %",
        "0.5 %",
        "0.05 %",
        "100 %",
        "12.34 %",
    ]
    assert moment(10**18) == f"{10**18} ms"


def test_characters_that_steer_are_shown_by_their_code() -> None:
    """In a line newlines too; letters of any script and joined emoji stay."""
    assert clean("a\x1b[0m\x9b\n\u202e") == "a\\x1b[0m\\x9b\u21b5\\u{202e}"
    assert clean_block("a\r\n\tb\rc") == "a\n\tb\\x0dc"
    plain = "h\u00e9 \u0646\u0645\u06cc\u200c\u0634\u0648\u062f \U0001f468\u200d\U0001f469\u200d\U0001f467 \u4f60"
    assert clean(plain) == plain
