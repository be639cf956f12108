"""Through any framework: say what a call is about in `extra_headers`, and get its id even if the answer is hidden.

Run: OPENAI_API_KEY=... python examples/framework.py
The headers are taken off inside this process; the provider never sees them.
"""

from __future__ import annotations

import os
from typing import Any

from logos_shift_openai import OpenAI, context, headers, provide_feedback

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")


class Agent:
    """Stands for a framework: it takes a client and options for the call, and gives nothing back but a text."""

    def __init__(self, client: OpenAI, **options: Any) -> None:
        self._client, self._options = client, options

    def run(self, question: str) -> str:
        answer = self._client.chat.completions.create(
            model=MODEL, messages=[{"role": "user", "content": question}], **self._options
        )
        return str(answer.choices[0].message.content)


sales = headers(dataset="sales", user_id="42", metadata={"campaign": "spring"})
agent = Agent(OpenAI(), extra_headers=sales)
with context() as calls:
    text = agent.run("Can I use my Apple Watch to top up?")
provide_feedback(calls.call_ids[-1], "failure", correction="apple_pay_or_google_pay")
print(f"{text}, call {calls.call_ids[-1]}")
