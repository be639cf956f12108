"""Commands as they stand in a page or an example: found, and read by the real command line without being run."""

from __future__ import annotations

import re
import shlex
from typing import TYPE_CHECKING, Any

from typer.main import get_command

from logos_shift_openai.cli.application import app

if TYPE_CHECKING:
    from collections.abc import Iterator


def shell_lines(page: str) -> Iterator[str]:
    """Give what a page has its reader type: the lines of its `bash` blocks, and those after `$` of its `console` ones."""
    for language, block in re.findall(r"^```(bash|console)\n(.*?)^```$", page, re.MULTILINE | re.DOTALL):
        for line in re.sub(r"\\\n\s*", " ", block).splitlines():
            if language == "bash" or line.startswith("$ "):
                yield line.removeprefix("$ ").strip()


def our_commands(lines: Iterator[str] | list[str]) -> Iterator[list[str]]:
    """Give the words after `logos-shift` of those lines that call it, what they are piped into left out."""
    for line in lines:
        found = re.search(r"(?:^|(?<=[\s/|]))logos-shift\s(.*)", line)
        if found and not line.startswith(("docker build", "docker run", "docker logs", "sudo")):
            yield shlex.split(re.split(r"\s[|>]", found[1])[0], comments=True)


def read(words: list[str]) -> tuple[str, ...]:
    """Read a command line as the real one does, and give the names of its command.

    Raises:
        click's UsageError: there is no such command, option or value.
    """
    command: Any = get_command(app)
    path: tuple[str, ...] = ()
    while hasattr(command, "commands"):
        while words and words[0].startswith("-"):
            words = words[2:] if words[0] == "--home" else words[1:]
        if not words:
            return path
        name, *words = words
        assert name in command.commands, (*path, name)
        command, path = command.commands[name], (*path, name)
    with command.make_context(" ".join(path), list(words)):
        return path
