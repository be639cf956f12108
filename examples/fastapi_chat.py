"""A chat in the browser with thumbs up and down: the stream carries the call's id, the thumb sends it back.

Run: pip install fastapi uvicorn; OPENAI_API_KEY=... python examples/fastapi_chat.py, then open http://127.0.0.1:8000
"""

from __future__ import annotations

import json
import os
from typing import TYPE_CHECKING

from fastapi import FastAPI
from fastapi.responses import HTMLResponse, StreamingResponse
from pydantic import BaseModel

from logos_shift_openai import AsyncOpenAI, aprovide_feedback, headers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

MODEL = os.environ.get("MODEL", "gpt-6.1-sol")
client = AsyncOpenAI()  # one for the process
app = FastAPI()


class Question(BaseModel):
    text: str
    user: str


class Thumb(BaseModel):
    id: str
    up: bool


@app.post("/ask")
async def ask(question: Question) -> StreamingResponse:
    return StreamingResponse(events(question), media_type="text/event-stream")


async def events(question: Question) -> AsyncIterator[str]:
    """Send the id first, then each piece of the answer."""
    stream = await client.chat.completions.create(
        model=MODEL,
        messages=[{"role": "user", "content": question.text}],
        stream=True,
        extra_headers=headers(dataset="chat", user_id=question.user),  # taken off in this process
    )
    yield f"event: id\ndata: {stream.logos_shift_id}\n\n"
    async for chunk in stream:
        if chunk.choices and chunk.choices[0].delta.content:
            yield f"data: {json.dumps(chunk.choices[0].delta.content)}\n\n"


@app.post("/thumb")
async def thumb(given: Thumb) -> dict[str, str]:
    return {"feedback": await aprovide_feedback(given.id, given.up)}


PAGE = """<!doctype html>
<meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>Chat</title>
<style>
  body { font: 16px/1.5 system-ui; max-width: 40rem; margin: 2rem auto; padding: 0 1rem; color-scheme: light dark }
  form { display: flex; gap: .5rem } input { flex: 1; font: inherit; padding: .5rem } button { font: inherit }
  .answer { padding: .75rem 1rem; margin: 1rem 0; border: 1px solid #8884; border-radius: .5rem }
</style>
<h1>Chat</h1>
<form><label for="text" hidden>Question</label><input id="text" autofocus><button>Ask</button></form>
<main aria-live="polite"></main>
<script>
const main = document.querySelector("main"), text = document.querySelector("#text");
const post = (path, body) => fetch(path, {method: "POST", headers: {"content-type": "application/json"},
                                          body: JSON.stringify(body)});
document.querySelector("form").onsubmit = async (event) => {
  event.preventDefault();
  const box = main.appendChild(Object.assign(document.createElement("div"), {className: "answer"}));
  const said = box.appendChild(document.createElement("p"));
  const answer = await post("/ask", {text: text.value, user: "browser"});
  let id, rest = "";
  const reader = answer.body.pipeThrough(new TextDecoderStream()).getReader();
  for (let part; !(part = await reader.read()).done;) {
    const events = (rest + part.value).split("\\n\\n");
    rest = events.pop();
    for (const one of events)
      if (one.startsWith("event: id")) id = one.split("data: ")[1];
      else said.textContent += JSON.parse(one.slice(6));
  }
  for (const [sign, up, name] of [["\\u{1F44D}", true, "good"], ["\\u{1F44E}", false, "bad"]]) {
    const button = Object.assign(document.createElement("button"), {textContent: sign, ariaLabel: name});
    box.appendChild(button);
    button.onclick = async () => {
      await post("/thumb", {id, up});
      for (const one of box.querySelectorAll("button")) one.disabled = true;
    };
  }
};
</script>
"""


@app.get("/", response_class=HTMLResponse)
async def page() -> str:
    return PAGE


if __name__ == "__main__":
    import uvicorn

    uvicorn.run(app, port=int(os.environ.get("PORT", "8000")))
