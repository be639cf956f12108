"""Decorated functions as a type checker sees them: their own parameters and value, and `call` beside them.

The program below is checked, never run; each `type: ignore` in it stands on a line that has to be an error.
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Generator, Iterator

    from typing_extensions import assert_type

    from logos_shift_openai import LogosShift

    shift = LogosShift()

    @shift(dataset="sales")
    def answer(question: str, *, words: int = 3) -> dict[str, int]:
        return {question: words}

    @shift()
    async def later(question: str) -> list[str]:
        return [question]

    @shift()
    def items(n: int) -> Iterator[int]:
        yield from range(n)

    @shift()
    def sends(n: int) -> Generator[int, str, bool]:
        yield n
        return True

    @shift()
    async def later_items(n: int) -> AsyncIterator[int]:
        yield n

    class Desk:
        @shift(dataset="sales")
        def answer(self, question: str, words: int = 3) -> bytes:
            return question.encode()

        @shift()
        async def later(self, question: str) -> bytes:
            return question.encode()

        @shift()
        @classmethod
        def made(cls, name: str) -> int:
            return len(name)

        @shift()
        @staticmethod
        def free(a: int) -> float:
            return a / 2

        @staticmethod
        @shift()
        def free_inside(a: int) -> float:
            return a / 2

        @classmethod
        @shift()
        def made_inside(cls, name: str) -> int:
            return len(name)

    async def main() -> None:
        assert_type(answer("why", words=2), dict[str, int])
        assert_type(answer.call("why"), tuple[dict[str, int], str])
        answer(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        answer()  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]
        answer.call("why", word=2)  # type: ignore[call-arg]  # pyright: ignore[reportCallIssue]

        assert_type(await later("why"), list[str])
        assert_type(await later.call("why"), tuple[list[str], str])

        assert_type(items(3), Iterator[int])
        assert_type(items.call(3), tuple[Iterator[int], str])
        assert_type(sends(3), Generator[int, str, bool])
        assert_type(later_items(3), AsyncIterator[int])
        async for item in later_items(3):
            assert_type(item, int)

        desk = Desk()
        assert_type(desk.answer("why", words=2), bytes)
        assert_type(desk.answer.call("why"), tuple[bytes, str])
        assert_type(Desk.answer(desk, "why"), bytes)
        desk.answer(3)  # type: ignore[arg-type]  # pyright: ignore[reportArgumentType]
        assert_type(await desk.later("why"), bytes)
        assert_type(await desk.later.call("why"), tuple[bytes, str])
        assert_type(desk.made("x"), int)
        assert_type(desk.made.call("x"), tuple[int, str])
        assert_type(Desk.free.call(1), tuple[float, str])
        assert_type(desk.made_inside("x"), int)
        assert_type(Desk.free_inside(1), float)
        assert_type(answer.__name__, str)


_ROOT = Path(__file__).parents[2]


def test_mypy_agrees() -> None:
    """What the program says of types is what mypy finds, strictly."""
    pytest.importorskip("mypy")
    command = [sys.executable, "-m", "mypy", "--strict", "--follow-imports=silent", __file__]
    done = subprocess.run(command, capture_output=True, text=True, check=False, cwd=_ROOT)
    assert done.returncode == 0, done.stdout + done.stderr
