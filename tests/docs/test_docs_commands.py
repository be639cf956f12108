"""Every command of the README and the docs is run as it is written: a real bash, server, provider and database."""

from __future__ import annotations

import configparser
import os
import re
import shutil
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
from blocks import PAGES, ROOT, SHELL, blocks_of, typed
from docs_provider import provider
from outside import NOT_RUN, why_not_run
from shell import shell
from world import BEFORE, GIVEN, put_calls, put_files, stand_in

sys.path.append(str(ROOT / "tests" / "stores"))
from postgres import Postgres, programs
from s3 import S3, s3_url  # noqa: F401 - a fixture

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

TAKES = 90
SHELL_PAGES = [page for page in PAGES if any(block.language in SHELL for block in blocks_of(page))]
ALL = [
    command for page in SHELL_PAGES for block in blocks_of(page) if block.language in SHELL for command in typed(block)
]
ADDRESS = "postgresql+psycopg://"


@pytest.fixture(scope="module")
def asked() -> Iterator[str]:
    with provider() as url:
        yield url


@pytest.fixture
def database() -> Iterator[Callable[[], str]]:
    """Give the address of a new database of a cluster, which is made when it is asked for."""
    made: list[Postgres] = []

    def new() -> str:
        there = programs()
        assert there is not None
        made.append(Postgres(there))
        made[0].start()
        return made[0].new_database()

    yield new
    for one in made:
        one.stop("immediate")
        one.remove()


@pytest.fixture
def bucket(request: pytest.FixtureRequest) -> Callable[[], str]:
    """Give the address of an S3-compatible server, which is started when it is asked for, with the bucket of the pages."""

    def new() -> str:
        url: str = request.getfixturevalue("s3_url")
        S3(url, "our-records").client.close()
        return url

    return new


@pytest.mark.skipif(not all(map(shutil.which, ("bash", "curl", "openssl"))), reason="bash, curl and openssl are typed")
@pytest.mark.parametrize("page", SHELL_PAGES, ids=lambda page: page.name)
def test_the_commands_of_a_page_run(
    page: Path, home: Path, tmp_path: Path, asked: str, database: Callable[[], str], bucket: Callable[[], str]
) -> None:
    """Typed in their order in a home with calls in it, each of them succeeds."""
    commands = [command for block in blocks_of(page) if block.language in SHELL for command in typed(block)]
    if any(ADDRESS in command for command in commands) and programs() is None and "CI" not in os.environ:
        pytest.skip("there is no PostgreSQL here")
    folder = tmp_path / "here"
    put_files(folder)
    put_calls(home)
    environ = {
        "LOGOS_SHIFT_HOME": str(home),
        "OPENAI_API_KEY": "sk-of-the-lab",
        "OPENAI_BASE_URL": f"{asked}/v1",
        "LOGOS_SHIFT_PROVIDER_LAB_BASE_URL": f"{asked}/v1",
        "LOGOS_SHIFT_PROVIDER_LAB_API_KEY": "sk-of-the-lab",
        "BROWSER": "true",
    }
    with shell(folder, environ) as window:
        for command in [*GIVEN.get(page.name, ()), *commands]:
            for line in [*BEFORE.get((page.name, command), ()), command]:
                if why_not_run(line) is None:
                    window.type(stand_in(line, window, home, asked, database, bucket))


def test_every_command_is_read_by_a_shell() -> None:
    """Also those that are not run."""
    done = subprocess.run(["bash", "-n"], input="\n".join(ALL), capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_no_reason_is_left_over() -> None:
    """Each reason for not running a command is that of some command, each command before another stands before one."""
    for pattern in NOT_RUN:
        assert any(re.match(pattern, command) for command in ALL), pattern
    assert {command for _, command in BEFORE} <= set(ALL)
    assert set(GIVEN) <= {page.name for page in SHELL_PAGES}


def test_the_extras_that_are_installed_exist() -> None:
    """In commands and in texts."""
    parser = configparser.ConfigParser()
    parser.read(ROOT / "setup.cfg", "utf-8")
    known = set(parser["options.extras_require"])
    for page in PAGES:
        for extras in re.findall(r"logos_shift_openai\[([\w,]+)\]", page.read_text(encoding="utf-8")):
            assert set(extras.split(",")) <= known, (page.name, extras)
