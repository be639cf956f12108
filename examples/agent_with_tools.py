"""An agent that calls tools: its function is the parent of the calls inside it, so one feedback counts for all of them.

Run: OPENAI_API_KEY=... python examples/agent_with_tools.py "What is the weather in Oslo?"
"""

from __future__ import annotations

import json
import os
import sys
from typing import TYPE_CHECKING, Any

from logos_shift_openai import OpenAI, logos_shift

if TYPE_CHECKING:
    from openai.types.chat import ChatCompletionMessageParam, ChatCompletionToolParam

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
MOST_TURNS = 5
client = OpenAI()


def weather(city: str) -> dict[str, Any]:
    """Stands for a service of yours."""
    return {"city": city, "celsius": len(city) * 3, "sky": "clear"}


TOOLS: list[ChatCompletionToolParam] = [
    {
        "type": "function",
        "function": {
            "name": "weather",
            "description": "The weather in a city now.",
            "parameters": {
                "type": "object",
                "properties": {"city": {"type": "string"}},
                "required": ["city"],
                "additionalProperties": False,
            },
        },
    }
]


@logos_shift(dataset="agent")
def agent(question: str) -> str:
    messages: list[ChatCompletionMessageParam] = [{"role": "user", "content": question}]
    for _ in range(MOST_TURNS):
        message = client.chat.completions.create(model=MODEL, messages=messages, tools=TOOLS).choices[0].message
        if not message.tool_calls:
            return message.content or ""
        messages.append(message.to_dict())  # type: ignore[arg-type]  # what the API gave, it takes
        for call in message.tool_calls:
            if call.type == "function":
                found = weather(**json.loads(call.function.arguments))
                messages.append({"role": "tool", "tool_call_id": call.id, "content": json.dumps(found)})
    return "I could not find out."


if __name__ == "__main__":
    answer, call_id = agent.call(" ".join(sys.argv[1:]) or "What is the weather in Oslo?")
    print("answer:", answer)
    logos_shift.provide_feedback(call_id, "success")
    print("thumb up for", call_id)
