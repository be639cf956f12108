"""Where everything of ours lives, on each platform."""

from __future__ import annotations

from pathlib import Path

import pytest

from logos_shift_openai.core.home import default_home


@pytest.mark.parametrize(
    ("environ", "platform", "expected"),
    [
        ({"LOGOS_SHIFT_HOME": "/srv/logos", "HOME": "/home/ada"}, "linux", "/srv/logos"),
        ({"LOGOS_SHIFT_HOME": "~/logos", "HOME": "/home/ada"}, "linux", "/home/ada/logos"),
        ({"LOGOS_SHIFT_HOME": "~/logos", "USERPROFILE": "/users/ada"}, "win32", "/users/ada/logos"),
        ({"LOGOS_SHIFT_HOME": "", "HOME": "/home/ada"}, "linux", "/home/ada/.local/share/logos_shift"),
        ({"HOME": "/home/ada"}, "freebsd14", "/home/ada/.local/share/logos_shift"),
        ({"HOME": "/home/ada", "XDG_DATA_HOME": "/data"}, "linux", "/data/logos_shift"),
        (
            {"HOME": "/home/ada", "XDG_DATA_HOME": "relative"},
            "linux",
            "/home/ada/.local/share/logos_shift",
        ),
        ({"HOME": "/Users/ada"}, "darwin", "/Users/ada/Library/Application Support/logos_shift"),
        ({"LOCALAPPDATA": "/local", "USERPROFILE": "/users/ada"}, "win32", "/local/logos_shift"),
        ({"USERPROFILE": "/users/ada"}, "win32", "/users/ada/AppData/Local/logos_shift"),
    ],
)
def test_each_platform_has_its_folder(environ: dict[str, str], platform: str, expected: str) -> None:
    """The variable comes first, then the platform's own folder for a user's data."""
    assert default_home(environ, platform) == Path(expected)


def test_an_empty_environment_still_has_a_home() -> None:
    """Without any variable the folder of the user who runs the process is taken."""
    assert default_home({}, "linux") == Path("~").expanduser() / ".local" / "share" / "logos_shift"
