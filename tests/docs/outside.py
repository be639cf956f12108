"""Commands of the pages that no test runs, each kind with the reason; they are parsed all the same.

And what stands for names that only exist in a page: an address, a key, an id of somebody else's.
"""

from __future__ import annotations

import re

NOT_RUN = {
    r"python3 -m venv \.venv ": "makes an environment in the checkout; CI takes this very block and runs it",
    r"\.venv/bin/pip install .*pytest": "runs all the tests; CI takes this very block and runs it",
    r"pip install ": "asks an index of packages; the extras it names are looked up in setup.cfg",
    r"docker ": "needs a daemon of containers; tests/deploy reads the files that are named",
    r'echo "POSTGRES_PASSWORD=': "writes into the checkout, for the containers",
    r"sudo ": "changes the machine; tests/deploy gives the unit to systemd's own checker",
}
"""Pattern at a command's beginning -> why it is not run."""


def why_not_run(command: str) -> str | None:
    """Say why a command is not run; None for one that is."""
    return next((why for pattern, why in NOT_RUN.items() if re.match(pattern, command)), None)
