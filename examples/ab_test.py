"""Send 30 % of the users to a cheaper model: each user stays on one side, and `explain` says where and why.

Run: OPENAI_API_KEY=... python examples/ab_test.py
`logos-shift experiment start` writes such a config for you; here it is a file of our own.
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path

from logos_shift_openai import LogosShift, OpenAI, context

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
CANDIDATE = os.environ.get("CANDIDATE", "gpt-6.1-mini")

experiment = {
    "key": "cheaper-support",
    "dataset": "support",
    "match": {"model": [MODEL]},
    "candidate": {"model": CANDIDATE},
    "share": 3000,  # of 10,000; raising it moves nobody back
    "unit": "user",
    "salt": "4f1d",
}
config = Path(tempfile.mkdtemp()) / "config.json"
config.write_text(json.dumps({"version": 1, "experiments": [experiment]}))

logos_shift = LogosShift(config=config, dataset="support")
client = OpenAI(logos_shift=logos_shift)
for user in ("ann", "bob", "cleo", "dan", "eve"):
    route = logos_shift.explain(model=MODEL, user_id=user)
    with context(user_id=user):  # the code below asks for MODEL, whoever answers
        answer = client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": "How do I use auto top up?"}]
        )
    print(f"{user}: {route.variant}, answered by {answer.model} ({route.why})")
