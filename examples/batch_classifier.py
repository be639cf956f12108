"""Classify many texts at once: a bounded number of calls at a time, each recorded, wrong ones corrected.

Run: OPENAI_API_KEY=... python examples/batch_classifier.py
The corrections are what a cheaper model will learn best from.
"""

from __future__ import annotations

import asyncio
import os
from typing import NamedTuple

from logos_shift_openai import AsyncOpenAI, context, flush, provide_feedback, stats

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
AT_A_TIME = 8
PROMPT = "Answer with the intent of the bank customer's message, a name like card_about_to_expire, and nothing else."


class Labelled(NamedTuple):
    text: str
    label: str
    call_id: str


TEXTS = {
    "How old do I have to be to open an account?": "age_limit",
    "Can I get an account for my son?": "age_limit",
    "My card is about to expire, what do I do?": "card_about_to_expire",
    "How do I activate my card?": "activate_my_card",
    "Can I use my Apple Watch to top up?": "apple_pay_or_google_pay",
    "How do I cancel a transfer?": "cancel_transfer",
}


async def classify(client: AsyncOpenAI, slots: asyncio.Semaphore, text: str) -> Labelled:
    async with slots:
        answer = await client.chat.completions.create(
            model=MODEL,
            messages=[{"role": "developer", "content": PROMPT}, {"role": "user", "content": text}],
        )
    return Labelled(text, (answer.choices[0].message.content or "").strip(), answer.logos_shift_id)


async def main() -> None:
    client, slots = AsyncOpenAI(), asyncio.Semaphore(AT_A_TIME)
    with context(dataset="intents", metadata={"batch": "monday"}):
        labelled = await asyncio.gather(*(classify(client, slots, text) for text in TEXTS))
    right = 0
    for one in labelled:
        good = one.label == TEXTS[one.text]
        right += good
        provide_feedback(one.call_id, good, correction=None if good else TEXTS[one.text])
    print(f"{right} of {len(labelled)} right")
    flush()
    print(f"recorded: {stats()['recorded']}")


if __name__ == "__main__":
    asyncio.run(main())
