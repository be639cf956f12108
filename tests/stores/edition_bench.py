"""A store to fill with calls, and editions of it."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from logos_shift_openai.server.datasets.choosing import Choice
from logos_shift_openai.server.datasets.keeping import FolderEditions
from logos_shift_openai.server.datasets.register import make_edition
from logos_shift_openai.server.fold import settle

if TYPE_CHECKING:
    from pathlib import Path

NOW = 1_764_000_000_000
SYSTEM = "Name the intent."


def asked(text: Any, **more: Any) -> dict[str, Any]:
    return {
        "model": "m",
        "messages": [{"role": "system", "content": SYSTEM}, {"role": "user", "content": text}],
        **more,
    }


def answered(text: Any, reason: str = "stop", **more: Any) -> dict[str, Any]:
    message = {"role": "assistant", "content": text, "refusal": None, **more}
    return {"choices": [{"index": 0, "finish_reason": reason, "message": message}]}


class Bench:
    """A store to fill, and editions of it."""

    def __init__(self, store: Any, lines: Any, take: Any, root: Path) -> None:
        self.store, self.lines, self.take = store, lines, take
        self.root = root
        self.kept = FolderEditions(root)

    def add(self, text: Any = "hello", answer: Any = "greeting", **parts: Any) -> str:
        name: str = parts.pop("id", None) or self.lines.new_id()
        parts.setdefault("request", asked(text))
        parts.setdefault("response", answered(answer))
        parts.setdefault("dataset", "d")
        receipt = self.take(self.lines.call(id=name, **parts))
        assert receipt.new == 1, receipt
        return name

    def some(self, count: int = 40) -> None:
        self.take(*(
            self.lines.call(dataset="d", requested_model="m", request=asked(f"question number {n}"),
                            response=answered(f"answer {n % 4}"))
            for n in range(count)
        ))  # fmt: skip

    def make(self, **choice: Any) -> Any:
        settle(self.store, NOW)
        return make_edition(self.store, self.kept, Choice("d", **choice), NOW)

    def rows(self, edition: Any, name: str | None = None) -> list[dict[str, Any]]:
        names = [name] if name else ["train.jsonl", "heldout.jsonl"]
        return [json.loads(line) for one in names for line in (self.root / edition.id / one).read_bytes().splitlines()]

    def texts(self, edition: Any) -> set[str]:
        return {row["messages"][-2]["content"] for row in self.rows(edition)}


@pytest.fixture
def bench(store: Any, lines: Any, take: Any, tmp_path: Path) -> Bench:
    return Bench(store, lines, take, tmp_path / "editions")
