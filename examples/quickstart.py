"""One import swapped: the same call, the same answer, and an id to say later how good it was.

Run: OPENAI_API_KEY=... python examples/quickstart.py
Look at it afterwards with `logos-shift calls list`.
"""

from __future__ import annotations

import os

from logos_shift_openai import OpenAI, provide_feedback

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")

client = OpenAI()
answer = client.chat.completions.create(
    model=MODEL,
    messages=[
        {"role": "system", "content": "Name the topic of the customer's message."},
        {"role": "user", "content": "How old do I have to be to get an account?"},
    ],
)
print("answer:", answer.choices[0].message.content)
print("id:", answer.logos_shift_id)

# Right away or days later, here or in any other process that kept the id.
provide_feedback(answer.logos_shift_id, "success", comment="the right team got it")
provide_feedback(answer.logos_shift_id, correction="age_limit", by="reviewer@example.com")
