"""The fenced blocks of the pages, and the lines that a reader of them types."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
SHELL = ("bash", "console")


class Block(NamedTuple):
    """A fenced block: the language behind its fence, and what stands in it."""

    language: str
    text: str


def blocks_of(page: Path) -> list[Block]:
    """Give the blocks of a page in their order."""
    found = re.findall(r"^```(\w*)[^\n]*\n(.*?)^```$", page.read_text(encoding="utf-8"), re.MULTILINE | re.DOTALL)
    return [Block(*one) for one in found]


def typed(block: Block) -> list[str]:
    """Give the commands of a block of a shell, each with its continued lines.

    In a `console` block those are the lines after `$`; what stands between them was answered.
    """
    joined = re.sub(r"\\\n\s*", " ", block.text).splitlines()
    if block.language == "bash":
        return [line for line in joined if line.strip()]
    return [line.removeprefix("$ ") for line in joined if line.startswith("$ ")]
