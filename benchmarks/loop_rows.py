"""Real rows whose answers are JSON or calls of functions, as requests: Banking77, NLU++ (banking), BFCL (Python).

Rule: each row has the answer that the lab's teacher is to give, and says whether another answer is right too. Rows of
Banking77 are answered with their intent, in a JSON object or as the argument of a function; NLU++ rows with their
intents (sorted, since their order says nothing) and the words of their slots; BFCL rows with the first of the values it
accepts for each argument, optional ones left out.
"""

from __future__ import annotations

import json
import random
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from benchmarks.measure import ROOT
from logos_shift_openai.lab import Call, data
from logos_shift_openai.lab.answers import same

if TYPE_CHECKING:
    from logos_shift_openai.lab.answers import Answer

DATA = ROOT / "tests" / "data"


@dataclass(frozen=True)
class Asked:
    """One row.

    Args:
        text: The question.
        answer: What the teacher says.
        options: Further arguments of `chat.completions.create`.
        accepted: BFCL: by argument, the values that are right; "" among them means that it may be left out.
    """

    text: str
    answer: Answer
    options: dict[str, Any]
    system: str = ""
    accepted: dict[str, list[Any]] = field(default_factory=dict)

    def request(self, model: str) -> dict[str, Any]:
        """Give the arguments of the call."""
        system = [{"role": "system", "content": self.system}] if self.system else []
        return {"model": model, "messages": [*system, {"role": "user", "content": self.text}], **self.options}

    def is_right(self, given: Answer) -> bool:
        """Tell whether an answer is right by the labels."""
        if isinstance(self.answer, str) or isinstance(given, str):
            return same(given, self.answer)
        if len(given) != 1 or given[0].name != self.answer[0].name:
            return False
        try:
            said = json.loads(given[0].arguments)
        except ValueError:
            return False
        if not set(said) <= set(self.accepted):
            return False
        return all(said[key] in values if key in said else "" in values for key, values in self.accepted.items())


def banking(rows: int, *, calls: bool) -> list[Asked]:
    """Take rows of the ten intents that ship with the lab, always the same ones."""
    found = data.rows("train")
    random.Random(7).shuffle(found)
    schema = {
        "type": "object",
        "properties": {"intent": {"type": "string", "enum": data.labels()}},
        "required": ["intent"],
        "additionalProperties": False,
    }
    function = {"name": "route", "description": "Route the customer by intent", "parameters": schema, "strict": True}
    json_schema = {"name": "understood", "schema": schema, "strict": True}
    options: dict[str, Any] = {"response_format": {"type": "json_schema", "json_schema": json_schema}}
    if calls:
        options = {"tools": [{"type": "function", "function": function}], "tool_choice": "required"}
    asked = []
    for text, intent in found[:rows]:
        written = json.dumps({"intent": intent})
        answer = (Call("route", written),) if calls else written
        asked.append(Asked(text, answer, options, "Understand the customer.", {"intent": [intent]}))
    return asked


def nlupp(folds: int = 10) -> list[Asked]:
    """Read the first banking folds."""
    ontology = json.loads((DATA / "nlupp" / "ontology.json").read_text())
    intents, slots = (
        sorted(name for name, about in ontology[part].items() if {"general", "banking"} & set(about["domain"]))
        for part in ("intents", "slots")
    )
    schema = {
        "type": "object",
        "properties": {
            "intents": {"type": "array", "items": {"type": "string", "enum": intents}},
            "slots": {"type": "object", "properties": {name: {"type": "string"} for name in slots}},
        },
        "required": ["intents", "slots"],
        "additionalProperties": False,
    }
    options = {"response_format": {"type": "json_schema", "json_schema": {"name": "understood", "schema": schema}}}
    found = []
    for fold in range(folds):
        for row in json.loads((DATA / "nlupp" / f"banking_fold{fold}.json").read_text()):
            words = {name: slot["text"] for name, slot in sorted(row.get("slots", {}).items())}
            answer = json.dumps({"intents": sorted(row.get("intents", [])), "slots": words})
            found.append(Asked(row["text"], answer, options, "Give the intents and slots of the message as JSON."))
    return found


def bfcl(*parts: str) -> list[Asked]:
    """Read the questions, functions and accepted answers; names and types are made such as the API takes them.

    Args:
        parts: "simple_python" with one function on offer, "multiple" with several; both if none is named.
    """
    found = []
    questions, answers = (
        [
            json.loads(line)
            for part in parts or ("simple_python", "multiple")
            for line in (DATA / "bfcl" / f"{before}BFCL_v4_{part}.json").read_text().splitlines()
        ]
        for before in ("", "answers_")
    )
    for question, answer in zip(questions, answers, strict=True):
        ((name, accepted),) = answer["ground_truth"][0].items()
        functions = [_as_json_schema(one) for one in question["function"]]
        tools = [{"type": "function", "function": {**one, "name": one["name"].replace(".", "_")}} for one in functions]
        said = {key: _plain(values[0]) for key, values in accepted.items() if "" not in values}
        call = Call(name.replace(".", "_"), json.dumps(said))
        allowed = {key: [_plain(value) for value in values] for key, values in accepted.items()}
        found.append(Asked(question["question"][0][-1]["content"], (call,), {"tools": tools}, accepted=allowed))
    return found


def _as_json_schema(value: Any) -> Any:
    """Turn Python's names of types into those of JSON schema, wherever they stand."""
    names = {"dict": "object", "float": "number", "tuple": "array", "any": "string"}
    if isinstance(value, list):
        return [_as_json_schema(one) for one in value]
    if not isinstance(value, dict):
        return value
    return {
        key: names.get(one, one) if key == "type" and isinstance(one, str) else _as_json_schema(one)
        for key, one in value.items()
    }


def _plain(value: Any) -> Any:
    """Write a value of an answer as a call has it: inside an object, each field has a list of accepted values."""
    if isinstance(value, dict):
        return {key: _plain(one[0] if isinstance(one, list) else one) for key, one in value.items()}
    return [_plain(one) for one in value] if isinstance(value, list) else value
