"""Keep things out of the records: by rules, or by a function of your own. The model still gets every word.

Run: OPENAI_API_KEY=... python examples/redaction.py
"""

from __future__ import annotations

import json
import os
import tempfile
from pathlib import Path
from typing import Any

from logos_shift_openai import LogosShift, OpenAI

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
QUESTION = "I am Ann Smith, ann@example.com. How do I cancel a transfer?"


def without_names(record: dict[str, Any]) -> dict[str, Any] | None:
    """Change what is kept of a call, on a thread of ours; None keeps nothing, and so does an error."""
    record["metadata"].pop("name", None)
    for message in record["request"]["messages"]:
        message["content"] = message["content"].replace("Ann Smith", "[customer]")
    return record


def ask(redact: Any) -> None:
    file = Path(tempfile.mkdtemp()) / "calls.jsonl"
    logos_shift = LogosShift(redact=redact, filename=file, metadata={"name": "Ann Smith", "n": 1})
    client = OpenAI(logos_shift=logos_shift)
    client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": QUESTION}])
    logos_shift.flush()
    record = json.loads(file.read_text())
    print("kept:", record["request"]["messages"][0]["content"], record["metadata"])


ask("secrets,email,iban,key:metadata.name")
ask(without_names)
