"""AWS Lambda freezes a process between two events: flush at the end of each, within a budget.

Run: OPENAI_API_KEY=... python examples/aws_lambda.py
On Lambda set LOGOS_SHIFT_URL, and LOGOS_SHIFT_HOME=/tmp/logos_shift, the one folder that can be written.
"""

from __future__ import annotations

import os
from typing import Any

import logos_shift_openai
from logos_shift_openai import OpenAI

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
client = OpenAI()  # outside the handler: warm starts share it


def handler(event: dict[str, Any], context: object) -> dict[str, Any]:  # noqa: ARG001 - Lambda's own signature
    try:
        with logos_shift_openai.context(dataset="support", user_id=event.get("user")):
            answer = client.chat.completions.create(
                model=MODEL, messages=[{"role": "user", "content": event["question"]}]
            )
        return {"text": answer.choices[0].message.content, "id": answer.logos_shift_id}
    finally:
        logos_shift_openai.flush(timeout=1.0)  # what does not get out in time stays in the spool


if __name__ == "__main__":
    reply = handler({"user": "42", "question": "My card is about to expire, what do I do?"}, None)
    print("reply:", reply["text"])
    print("on their way:", logos_shift_openai.stats()["recorded"])
