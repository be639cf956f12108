"""What a call says of itself without anybody's help: was the asked-for JSON valid, did the model refuse, was it cut.

Rule: what is not known for sure is None, odd input included, and nothing raises. A call asks for JSON by
`response_format` (`text.format` of the Responses API), where the answer must parse and, with a schema, fit; and by
offering functions, where the arguments of each call must parse, its name be among those offered, and with `strict` its
arguments fit.
"""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .json_schema import fits

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

_TELLING: Final = (b'"content_filter"', b'"length"', b'"incomplete"')


class Checks(NamedTuple):
    """What is known of an answer.

    Args:
        valid: Whether the JSON that was asked for was given; None where none was asked for.
        refused: Whether the model, or a filter on it, refused.
        cut: Whether the answer ended at a limit of length.
    """

    valid: bool | None = None
    refused: bool | None = None
    cut: bool | None = None

    def known(self) -> dict[str, bool]:
        """Give only what is known, by name."""
        return {name: value for name, value in self._asdict().items() if value is not None}


class _Said(NamedTuple):
    """One answer among several: its text, and the functions that it calls as (name, arguments)."""

    text: str
    called: list[tuple[Any, Any]]
    refused: bool


def check(request: object, answer: object) -> Checks:
    """Check an answer against what was asked.

    Args:
        request: The body of a call to chat.completions, completions or responses, read from JSON.
        answer: The answer's body, a stream folded into the unstreamed shape; None where the call failed, which leaves
            a call that asked for JSON without it.
    """
    asked = request if isinstance(request, dict) else {}
    try:
        if answer is None:
            return Checks(valid=False if _format(asked) is not None else None)
        if not isinstance(answer, dict):
            return Checks()
        said = list(_answers(answer))
        if not said:
            return Checks()
        reasons = {_reason(one) for one in _list(answer.get("choices"))} | {_incomplete(answer)}
        return Checks(
            valid=_all(_is_valid(asked, one) for one in said),
            refused=any(one.refused for one in said) or "content_filter" in reasons,
            cut=not reasons.isdisjoint(("length", "max_output_tokens")),
        )
    except (RecursionError, TypeError, ValueError, AttributeError):  # nobody promised that it looks like an answer
        return Checks()


def asks_for_json(request: object) -> bool:
    """Tell whether `valid` can be known of a call."""
    return isinstance(request, dict) and (_format(request) is not None or bool(request.get("tools")))


def is_plain(answer: bytes) -> bool:
    """Tell from an answer's JSON text alone, without reading it, that it was neither refused nor cut.

    False means that it has to be read to know.
    """
    if any(word in answer for word in _TELLING):
        return False
    if answer.count(b'"refusal"') != answer.count(b'"refusal":null'):
        return False
    return b'"choices":[{' in answer or b'"output":[{' in answer


def _all(found: Iterable[bool | None]) -> bool | None:
    """Give False if one is, None if nothing is known, else True."""
    known = [one for one in found if one is not None]
    return all(known) if known else None


def _list(value: object) -> list[Any]:
    return value if isinstance(value, list) else []


def _object(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _reason(choice: object) -> str | None:
    reason = _object(choice).get("finish_reason")
    return reason if isinstance(reason, str) else None


def _incomplete(answer: dict[str, Any]) -> str | None:
    if answer.get("status") != "incomplete":
        return None
    reason = _object(answer.get("incomplete_details")).get("reason")
    return reason if isinstance(reason, str) else None


def _answers(answer: dict[str, Any]) -> Iterator[_Said]:
    for choice in map(_object, _list(answer.get("choices"))):
        message = choice.get("message")
        if not isinstance(message, dict):  # a legacy completion
            yield _Said(str(choice.get("text") or ""), [], refused=False)
            continue
        functions = [_object(one.get("function")) for one in map(_object, _list(message.get("tool_calls")))]
        called = [(one.get("name"), one.get("arguments")) for one in functions if one]
        yield _Said(_text(message.get("content")), called, refused=bool(message.get("refusal")))
    if isinstance(answer.get("output"), list):
        yield _of_items([_object(one) for one in answer["output"]])


def _of_items(items: list[dict[str, Any]]) -> _Said:
    """Read the output of the Responses API, whose items are one answer together."""
    parts = [_object(part) for one in items if one.get("type") == "message" for part in _list(one.get("content"))]
    text = "".join(str(part.get("text") or "") for part in parts if part.get("type") == "output_text")
    called = [(one.get("name"), one.get("arguments")) for one in items if one.get("type") == "function_call"]
    return _Said(text, called, refused=any(part.get("type") == "refusal" for part in parts))


def _text(content: object) -> str:
    if isinstance(content, list):
        return "".join(str(_object(part).get("text") or "") for part in content)
    return content if isinstance(content, str) else ""


def _format(request: dict[str, Any]) -> tuple[object] | None:
    """Give the schema that the answer's text is to fit, in a tuple; True is that of any JSON."""
    asked = request.get("response_format")
    if not isinstance(asked, dict):
        asked = _object(request.get("text")).get("format")
    kind = _object(asked).get("type")
    if kind == "json_object":
        return (True,)
    if kind != "json_schema":
        return None
    inner = _object(asked).get("json_schema", asked)
    return (_object(inner).get("schema", True),)


def _is_valid(request: dict[str, Any], said: _Said) -> bool | None:
    found: list[bool | None] = []
    schema = _format(request)
    if schema is not None and (said.text or said.refused or not said.called):
        found.append(_fits_text(schema[0], said.text))
    if said.called:
        offered = dict(_offered(request))
        found.extend(_fits_call(offered, name, arguments) for name, arguments in said.called)
    return _all(found)


def _offered(request: dict[str, Any]) -> Iterator[tuple[Any, object]]:
    """Give the name of each function offered, and the schema of its arguments where it is strict."""
    for tool in map(_object, _list(request.get("tools"))):
        if tool.get("type") == "function":
            function = _object(tool.get("function", tool))
            yield function.get("name"), function.get("parameters", True) if function.get("strict") is True else True


def _fits_call(offered: dict[Any, object], name: object, arguments: object) -> bool | None:
    if not isinstance(arguments, str):
        return None
    if offered and name not in offered:
        return False
    return _fits_text(offered.get(name, True), arguments)


def _fits_text(schema: object, text: str) -> bool | None:
    try:
        value = json.loads(text, parse_constant=_no_constant)
    except ValueError:
        return False
    except RecursionError:
        return None
    return fits(schema, value)


def _no_constant(name: str) -> None:
    raise ValueError(f"{name} is no JSON")
