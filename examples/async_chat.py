"""Many users at a time with `AsyncOpenAI`: what `context` says holds for its own task, however deep the call is.

Run: OPENAI_API_KEY=... python examples/async_chat.py
"""

from __future__ import annotations

import asyncio
import os

from logos_shift_openai import AsyncOpenAI, aprovide_feedback, context

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
QUESTIONS = {
    "ann": "How do I activate my card?",
    "bob": "When will my balance update after a transfer?",
    "cleo": "Which ATMs accept my card?",
}


async def answer(client: AsyncOpenAI, question: str) -> tuple[str, str]:
    """Know nothing of users, as code deep down does."""
    said = await client.chat.completions.create(model=MODEL, messages=[{"role": "user", "content": question}])
    return said.choices[0].message.content or "", said.logos_shift_id


async def serve(client: AsyncOpenAI, user: str, question: str) -> None:
    with context(dataset="support", user_id=user, conversation_id=f"chat-of-{user}"):
        text, call_id = await answer(client, question)
    await aprovide_feedback(call_id, 0.5 if user == "bob" else 1.0)
    print(f"{user}: {text}")


async def main() -> None:
    async with AsyncOpenAI() as client:
        await asyncio.gather(*(serve(client, user, question) for user, question in QUESTIONS.items()))


asyncio.run(main())
