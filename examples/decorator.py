"""Record any function, give feedback on what it gave, and try a cheaper function on a share of its calls.

Nothing here needs a key or a network: what is decorated are plain functions. In a real program they call models,
through `logos_shift_openai.OpenAI`, and those calls become the children of the function's own.
"""

from __future__ import annotations

import json
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from logos_shift_openai import LogosShift

if TYPE_CHECKING:
    from collections.abc import Iterator

home = Path(tempfile.mkdtemp())  # a real program leaves this to LOGOS_SHIFT_HOME

# An experiment as `logos-shift experiment start` writes it: half of the users go to the candidate.
experiment = {
    "key": "cheaper-sorting",
    "dataset": "tickets",
    "match": {"model": ["sort_ticket"]},
    "candidate": {"model": "keywords"},
    "share": 5000,
    "salt": "b8f0",
}
(home / "config.json").write_text(json.dumps({"version": 1, "experiments": [experiment]}))

logos_shift = LogosShift(home=home, filename=home / "calls.jsonl")


def by_keywords(text: str) -> str:
    if "order" not in text:
        raise LookupError(text)  # a candidate that fails is answered by the function itself
    return "orders"


@logos_shift(dataset="tickets", name="sort_ticket", candidate=by_keywords)
def sort_ticket(text: str) -> str:
    words = draft(text)  # a call inside: its record has this one for a parent
    return "payments" if "card" in list(words) else "orders"


@logos_shift(dataset="drafts")
def draft(text: str) -> Iterator[str]:
    yield from text.split()


for user in ("ann", "bob", "cleo", "dan"):
    with logos_shift.context(user_id=user):
        topic, call_id = sort_ticket.call("my card was charged twice")  # `sort_ticket(...)` gives the topic alone
    logos_shift.provide_feedback(call_id, "success" if topic == "payments" else "failure")

logos_shift.flush()
for line in (home / "calls.jsonl").read_text().splitlines():
    record = json.loads(line)
    if record["kind"] == "feedback":
        print(f"  feedback: {record['label']}")
    elif record["name"] == "sort_ticket":
        tries = " then ".join(attempt["model"] for attempt in record["attempts"])
        print(f"{record['name']} for {record['user_id']}: {record['response']}, tried {tries} ({record['why']})")
    else:
        print(f"  inside: {record['name']} gave {record['response']}")
