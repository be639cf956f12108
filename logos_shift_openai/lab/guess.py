"""What a model says that knows nothing better: a call made up from a function's schema, or the least JSON that fits.

Owns guessing. The function is the one whose name and description share most words with the question; its required
arguments are pieces of the question, chosen by a ``Pointer`` (learnt ones know better), or what its schema lists.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from .answers import Answer, Call
from .features import words
from .shapes import MARK, Json, call_key, filled, slots_of
from .spans import cut_up

if TYPE_CHECKING:
    from .pointer import Pointer
    from .wanted import Tool, Wanted

NO_IDEA = "I am not sure."
_DEEPEST = 20


def guess(question: str, wanted: Wanted, pointer: Pointer) -> Answer:
    """Answer anything that is allowed: a call where one must be made, else JSON where it is asked for, else a text."""
    if wanted.must_call:
        tool = max(wanted.tools.values(), key=lambda tool: shared_words(question, tool), default=None)
        return (made_up_call(tool, question, pointer),) if tool is not None else NO_IDEA
    if wanted.schema is None:
        return NO_IDEA
    return json.dumps(least(wanted.schema, wanted.schema))


def shared_words(question: str, tool: Tool) -> int:
    """Count the words of the question that stand in the function's name or description."""
    return len(set(words(question)).intersection(words(f"{tool.name} {tool.description}".replace("_", " "))))


def made_up_call(tool: Tool, question: str, pointer: Pointer) -> Call:
    """Call a function with pieces of the question for its required arguments."""
    properties = _mapping(tool.parameters.get("properties"))
    required = tool.parameters.get("required")
    required = required if isinstance(required, list) else []
    numbers = len(cut_up(question).numbers)
    spare = numbers - sum(_mapping(properties.get(one)).get("type") in ("integer", "number") for one in required)
    tree: dict[str, Json] = {}
    for name, schema in properties.items():
        said = _mapping(schema)
        if name in required:
            tree[name] = _argument(said, question, max(1, spare), tool.parameters)
        elif _named(said, question) is not None:
            tree[name] = _named(said, question)
    key = call_key(tool.name, tree)
    about = {f"{tool.name}.{name}": str(_mapping(schema).get("description", "")) for name, schema in properties.items()}
    slots = [slot._replace(about=about.get(slot.path.partition("[]")[0], "")) for slot in slots_of(key)]
    fillings = pointer.fillings(slots, question)
    if not fillings:
        return Call(tool.name, json.dumps(least(tool.parameters, tool.parameters)))
    call = filled(key, fillings[0].spans)[0]
    return call if isinstance(call, Call) else Call(tool.name)


def least(schema: object, root: object, depth: int = 0) -> Any:
    """Give the smallest value of a schema: first of an enum, required fields only, empty lists and texts, 0, false."""
    said = _mapping(schema)
    if depth > _DEEPEST:
        return None
    for key in ("enum", "anyOf", "oneOf", "allOf"):
        listed = said.get(key)
        if isinstance(listed, list) and listed:
            return listed[0] if key == "enum" else least(listed[0], root, depth + 1)
    if "const" in said:
        return said["const"]
    if isinstance(said.get("$ref"), str):
        return least(_referred(str(said["$ref"]), root), root, depth + 1)
    kind = said.get("type", "object")
    kind = kind[0] if isinstance(kind, list) and kind else kind
    if kind == "object":
        properties = _mapping(said.get("properties"))
        required = said.get("required")
        names = [str(name) for name in required] if isinstance(required, list) else []
        return {name: least(properties.get(name, {"type": "null"}), root, depth + 1) for name in names}
    number = said.get("minimum", 0)
    return {"array": [], "string": "", "integer": number, "number": number, "boolean": False}.get(str(kind))


def _argument(schema: Mapping[str, object], question: str, numbers: int, root: object) -> Json:
    kind = schema.get("type")
    if "enum" in schema:
        named = _named(schema, question)
        return named if named is not None else least(schema, root)
    gaps = {"string": "text", "integer": "integer", "number": "number"}
    if isinstance(kind, str) and kind in gaps:
        return {MARK: gaps[kind]}
    if kind == "array":
        inner = _mapping(schema.get("items")).get("type")
        if isinstance(inner, str) and inner in gaps:
            return [{MARK: gaps[inner]}] * (1 if inner == "string" else numbers)
    return True if kind == "boolean" else least(schema, root)


def _named(schema: Mapping[str, object], question: str) -> Json:
    """Give the value of an enum that stands in the question, None for none."""
    listed = schema.get("enum")
    asked = set(words(question))
    texts = [one for one in listed if isinstance(one, str)] if isinstance(listed, list) else []
    return next((one for one in texts if words(one) and asked.issuperset(words(one))), None)


def _referred(reference: str, root: object) -> object:
    place = root
    for part in reference.split("/")[1:]:
        place = _mapping(place).get(part)
    return place


def _mapping(value: object) -> Mapping[str, object]:
    return value if isinstance(value, Mapping) else {}
