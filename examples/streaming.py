"""A stream stays the SDK's stream; thumbs up or down go by its id, which is known before the first word.

Run: OPENAI_API_KEY=... python examples/streaming.py [up|down]
"""

from __future__ import annotations

import os
import sys

from logos_shift_openai import OpenAI, provide_feedback

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
client = OpenAI()


def show(question: str) -> str:
    """Print an answer as it comes; gives the id that a page would keep beside its two thumbs."""
    with client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question}],
        stream=True,
        stream_options={"include_usage": True},
    ) as stream:
        for chunk in stream:
            for choice in chunk.choices:
                print(choice.delta.content or "", end="", flush=True)
        print()
        return stream.logos_shift_id


thumb = sys.argv[1] if len(sys.argv) > 1 else "up"
call_id = show("Tell me how to cancel a transfer.")
provide_feedback(call_id, thumb == "up")
print(f"thumb {thumb} for {call_id}")
