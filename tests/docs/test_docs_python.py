"""The Python of the pages is run as it stands there, against a lab; what a reader adds to it stands here."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from blocks import PAGES, ROOT, blocks_of
from docs_provider import provider

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

PYTHON_PAGES = [page for page in PAGES if any(block.language == "python" for block in blocks_of(page))]
NOT_RUN = {"from celery import": "Celery is none of the packages that the tests install"}
"""What a block says -> why it is not run."""
ENDS = {
    ("frameworks.md", "def run(agent"): """
value, call_ids = run(lambda question: client.chat.completions.create(
    model="gpt-6.1-sol", messages=[{"role": "user", "content": question}]).choices[0].message.content, "Hello", "7")
judge(call_ids, True)
assert value and len(call_ids) == 1
""",
    ("recipes.md", "app = FastAPI()"): """
import asyncio

async def both():
    said = await ask("Where is my card?", "7")
    await thumb(said["id"], True)
    assert said["text"] and said["id"]

asyncio.run(both())
""",
    ("recipes.md", "class LogosShiftContext"): """
from types import SimpleNamespace
from logos_shift_openai import OpenAI

for known in (True, False):
    user = SimpleNamespace(pk=7, is_authenticated=known)
    view = lambda request: OpenAI().chat.completions.create(
        model="gpt-6.1-sol", messages=[{"role": "user", "content": "Hello"}]).logos_shift_id
    assert LogosShiftContext(view)(SimpleNamespace(user=user))
""",
    ("recipes.md", "def handler(event, context)"): """
assert handler({"question": "Where is my card?"}, None)["id"]
""",
    ("recipes.md", "def events(question"): """
told = list(events("Where is my card?"))
assert told[0].startswith("event: id") and len(told) > 1
""",
}
"""Page and a line of a block that only defines something -> what uses it."""
RECORDED = {
    "README.md": 3, "frameworks.md": 2, "migrating.md": 1, "recipes.md": 6, "self-hosting.md": 0, "start.md": 1,
}  # fmt: skip
"""Page -> calls that are in the home afterwards; the notebook's are in a home of its own, the last recipe's in none."""


@pytest.fixture(scope="module")
def asked() -> Iterator[str]:
    with provider() as url:
        yield url


def program(page: Path) -> str:
    """Put the blocks of a page together, each with what is added to it."""
    parts = []
    for block in blocks_of(page):
        if block.language == "python" and not any(text in block.text for text in NOT_RUN):
            parts += [
                block.text,
                *(end for (name, text), end in ENDS.items() if name == page.name and text in block.text),
            ]
    return "\n".join(parts)


@pytest.mark.parametrize("page", PYTHON_PAGES, ids=lambda page: page.name)
def test_the_python_of_a_page_runs(page: Path, home: Path, tmp_path: Path, asked: str) -> None:
    """Block after block in one process, without a warning; the calls it makes are recorded."""
    environ = {
        **os.environ,
        "LOGOS_SHIFT_HOME": str(home),
        "OPENAI_API_KEY": "sk-of-the-lab",
        "OPENAI_BASE_URL": f"{asked}/v1",
        "AZURE_OPENAI_API_KEY": "sk-of-the-lab",
        "PYTHONPATH": str(ROOT),
    }
    written = program(page).replace("https://example.openai.azure.com", asked)
    if "Azure" in written:  # the SDK of Azure refuses an address beside an endpoint
        written = "import os\naddress = os.environ.pop('OPENAI_BASE_URL')\n" + written.replace(
            "from fastapi", "os.environ['OPENAI_BASE_URL'] = address\nfrom fastapi", 1
        )
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", written],
        env=environ,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert (done.returncode, done.stderr.count("Traceback")) == (0, 0), done.stderr
    lines = [json.loads(line) for path in home.glob("spool/local/*/*.ndjson") for line in path.read_text().splitlines()]
    assert sum(line["kind"] == "call" for line in lines) == RECORDED[page.name], [line["kind"] for line in lines]


def test_every_exception_is_of_some_block() -> None:
    """What is not run, and what is added, is about a block that is there."""
    blocks = [(page.name, block.text) for page in PAGES for block in blocks_of(page) if block.language == "python"]
    for text in NOT_RUN:
        assert any(text in block for _, block in blocks), text
    for name, text in ENDS:
        assert any(name == page and text in block for page, block in blocks), (name, text)


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_json_of_the_pages_is_json(page: Path) -> None:
    """One document, or one a line, with `...` where more of the same may stand."""
    for block in blocks_of(page):
        if block.language == "json":
            try:
                json.loads(block.text)
            except ValueError:
                assert all(json.loads(line) for line in block.text.splitlines() if not re.fullmatch(r"\s*\.\.\.", line))
