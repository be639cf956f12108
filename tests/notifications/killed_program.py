"""Deliver once on the channels of this environment, and be killed: `killed_program.py STORE NOW before|after`.

Before: between the claim and the sending. After: when it was sent, and before that is noted.
"""

from __future__ import annotations

import os
import signal
import sys

from logos_shift_openai.server.notifications import delivery
from logos_shift_openai.server.notifications.channels import channels_from
from logos_shift_openai.server.store.database import open_store

place, now, when = sys.argv[1:]
real = delivery.send


def send(channel, event, at):
    if when == "after":
        real(channel, event, at)
    os.kill(os.getpid(), signal.SIGKILL)


delivery.send = send
delivery.Delivery(channels_from(os.environ)).step(open_store(place), int(now))
