"""`logos-shift`, with a lease of the background work that is as short as the first argument says, in seconds.

So a process that takes over from one that was killed does so within a test's patience; nothing else differs.
"""

from __future__ import annotations

import sys

from logos_shift_openai.cli.main import run
from logos_shift_openai.server import worker

worker.LEASE_SECONDS = float(sys.argv.pop(1))
worker._LOOK_SECONDS = worker.LEASE_SECONDS / 4

if __name__ == "__main__":
    run()
