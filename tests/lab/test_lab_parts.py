"""Answers in parts: labels one by one, copied values, and arguments of functions that nobody taught."""

from __future__ import annotations

import json
import random
from itertools import combinations
from typing import Any

from logos_shift_openai.lab.answers import Answer, Call
from logos_shift_openai.lab.arguments import Arguments, Lesson, learn_arguments
from logos_shift_openai.lab.chat_file import ChatExample
from logos_shift_openai.lab.learnt import LearntModel, learnt_from_json
from logos_shift_openai.lab.making import model_of, training_of
from logos_shift_openai.lab.parts import labels_of, plan_of, put_together
from logos_shift_openai.lab.pointer import Pointer, learn
from logos_shift_openai.lab.shapes import copied_paths
from logos_shift_openai.lab.spans import cut_up
from logos_shift_openai.lab.training import Settings
from logos_shift_openai.lab.tuning_run import lessons
from logos_shift_openai.lab.values import LEFT_OUT, candidates, properties_of
from logos_shift_openai.lab.wanted import Tool, Wanted

WISHES = {
    "block": "freeze it",
    "card": "my plastic",
    "fee": "what it costs",
    "limit": "how far it goes",
    "loan": "money lent",
    "pin": "the secret digits",
    "rate": "the percentage",
    "app": "on my phone",
}
DAYS = ["Monday", "Tuesday", "Friday", "Sunday"]


def rows() -> list[tuple[str, Answer]]:
    """Give every set of three wishes, half of them with a day."""
    found: list[tuple[str, Answer]] = []
    for number, wishes in enumerate(combinations(sorted(WISHES), 3)):
        day = DAYS[number // 2 % 4]
        slots = {"day": day} if number % 2 else {}
        text = ", ".join(WISHES[one] for one in wishes) + (f" on {day}" if slots else "")
        found.append((text, json.dumps({"intents": list(wishes), "slots": slots})))
    return found


def asked(text: str, answer: Answer, wanted: Wanted | None = None) -> ChatExample:
    return ChatExample([{"role": "user", "content": text}], answer, wanted or Wanted())


def tuned(examples: list[ChatExample]) -> Any:
    learnt = lessons(examples, [])
    weights: dict[str, float] = {}
    by_schema: dict[str, float] = {}
    for _ in learn(learnt.gaps, 1, weights):
        pass
    for _ in learn_arguments(learnt.calls, 1, by_schema):
        pass
    *_, last = training_of(learnt, Settings(seed=1)).run()
    assert last.model is not None
    return model_of(learnt, last.model, Pointer(weights), Arguments(by_schema))


def test_an_answer_comes_back_out_of_its_labels() -> None:
    """Cut into labels and put together again it is the same to the letter; the plan survives its JSON."""
    known = rows()
    copied = copied_paths(known)
    assert copied == frozenset({".slots.day"})
    plan = plan_of(known, copied)
    assert plan is not None
    for text, answer in known:
        chosen = []
        for path, value in map(json.loads, labels_of(plan, text, answer, copied)):
            copied_value = json.loads(str(answer))["slots"].get("day")
            chosen.append((path, copied_value if value.startswith("\0") else json.loads(value)))
        assert put_together(plan, chosen) == answer


def test_what_repeats_or_is_of_another_make_is_learnt_as_a_whole() -> None:
    """Few distinct answers, texts, deep lists: no plan."""
    known = rows()
    none: frozenset[str] = frozenset()
    assert plan_of([(text, known[0][1]) for text, _ in known], none) is None
    assert plan_of([*known, ("hello", "just a text")], none) is None
    assert plan_of([(text, json.dumps({"a": [[text]]})) for text, _ in known], none) is None
    assert plan_of(known[:20], none) is None


def test_sets_that_were_never_met_are_put_together() -> None:
    """Of the sets of three it was taught four fifths; it says most of the others, and is stored without loss."""
    known = rows()
    random.Random(2).shuffle(known)
    model = tuned([asked(text, answer) for text, answer in known[:45]])
    again = learnt_from_json(json.loads(json.dumps(model.to_json())))
    right = 0
    for text, answer in known[45:]:
        odds = model.odds(asked(text, "").prompt)
        assert again.odds(asked(text, "").prompt) == odds
        assert sum(odds.probabilities) <= 1.0 + 1e-9
        right += odds.best() == answer
    assert right >= 0.7 * len(known[45:])


PARAMETERS = {
    "type": "object",
    "properties": {
        "city": {"type": "string", "description": "The city, e.g. Rome"},
        "days": {"type": "integer", "description": "Number of days"},
        "unit": {"type": "string", "enum": ["km", "miles"], "description": "Default is km"},
        "sides": {"type": "array", "items": {"type": "integer"}},
        "tags": {"type": "array", "items": {"type": "string"}},
        "fast": {"type": "boolean"},
    },
    "required": ["city", "days"],
}


def test_what_may_stand_for_an_argument() -> None:
    """Pieces of its type, numbers in words, listed values, rows of neighbours; nothing only where it may be left out."""
    question = cut_up("Three days in Ulm, with 4, 5 and 6 in red, blue and green")
    by_name = {one.name: [value.json for value in candidates(one, question)] for one in properties_of("f", PARAMETERS)}
    assert '"Ulm"' in by_name["city"]
    assert LEFT_OUT not in by_name["city"]
    assert by_name["days"] == ["3", "4", "5", "6"]
    assert by_name["unit"] == [LEFT_OUT, '"km"', '"miles"']
    assert {"[4, 5, 6]", "[4]", LEFT_OUT} <= set(by_name["sides"])
    assert '["red", "blue", "green"]' in by_name["tags"]
    assert by_name["fast"] == [LEFT_OUT, "true", "false"]


def test_a_function_is_called_by_what_was_learnt_of_others() -> None:
    """Taught on functions of other names it chooses the right one of two and fills it, and calls nothing unoffered."""
    dice = random.Random(3)
    towns = ["Rome", "Oslo", "Bern", "Kyiv", "Riga", "Bonn", "Lima", "Cork"]
    nouns = ["hotel", "ferry", "train", "guide", "tent", "boat", "bike", "car"]

    def tool(noun: str) -> Tool:
        return Tool(f"book_{noun}", f"Book a {noun}", PARAMETERS)

    taught: list[Lesson] = []
    examples = []
    for number in range(48):
        noun, town, days = dice.choice(nouns[:6]), dice.choice(towns), dice.randint(2, 9)
        other = dice.choice([one for one in nouns[:6] if one != noun])
        text = f"I need a {noun} in {town} for {days} days"
        arguments = {"city": town, "days": days}
        tools = [tool(noun), tool(other)]
        taught.append((text, tools[0], tools[:: 1 if number % 2 else -1], arguments))
        examples.append(text)
    weights: dict[str, float] = {}
    assert sum(1 for _ in learn_arguments(taught, 1, weights)) > len(taught)
    calls = Arguments(weights).calls("I need a car in Turin for 31 days", [tool("bike"), tool("car")])
    assert (calls[0][0].name, json.loads(calls[0][0].arguments)) == ("book_car", {"city": "Turin", "days": 31})
    assert sum(p for _, p in calls) <= 1.0 + 1e-9
    assert Arguments(weights).calls("I need a car", []) == []


def test_a_function_that_is_hardly_known_is_called_by_its_schema() -> None:
    """Every function in the file is another one; the model is stored without loss."""
    examples = []
    for number, town in enumerate(["Rome", "Oslo", "Bern", "Kyiv", "Riga", "Bonn", "Lima", "Cork"] * 2):
        tool = Tool(f"tool_{number}", "Book", PARAMETERS)
        call = Call(tool.name, json.dumps({"city": town, "days": number + 2}))
        examples.append(asked(f"in {town} for {number + 2} days", (call,), Wanted({tool.name: tool}, must_call=True)))
    model = tuned(examples)
    assert isinstance(model, LearntModel)
    assert len(model.shapes.answers) == 1
    again = learnt_from_json(json.loads(json.dumps(model.to_json())))
    other = Wanted({"new": Tool("new", "Book", PARAMETERS)}, must_call=True)
    odds = model.odds(asked("in Turin for 31 days", "").prompt, other)
    assert odds == again.odds(asked("in Turin for 31 days", "").prompt, other)
    assert odds is not None
    (call,) = odds.best()
    assert (call.name, json.loads(call.arguments)) == ("new", {"city": "Turin", "days": 31})
