"""What a request allows to be answered: which functions may or must be called, and in which format a text must be.

Owns ``Wanted`` and its rule, that what is not allowed is never said: a function that is not offered is never called,
and where JSON is asked for, a text is JSON that fits the schema. A bare label is put into the only field of a
schema that has but one. ``tool_request`` reads it from a request's body.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from logos_shift_openai.core.json_schema import fits

from .odds import Odds

if TYPE_CHECKING:
    from .answers import Answer, Call

JSON_OBJECT = True
"""The schema of ``response_format`` json_object: anything, so long as it is an object."""


@dataclass(frozen=True)
class Tool:
    """A function on offer; ``parameters`` is the JSON schema of its arguments."""

    name: str
    description: str = ""
    parameters: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True)
class Wanted:
    """What may be answered.

    Attributes:
        tools: The functions that may be called, by name; with ``tool_choice`` none there are none.
        must_call: Only a call will do.
        named: The request names the one function to call.
        parallel: Several calls may stand in one answer.
        schema: What a text must be: None anything, ``JSON_OBJECT``, or a JSON schema.
    """

    tools: Mapping[str, Tool] = field(default_factory=dict)
    must_call: bool = False
    named: bool = False
    parallel: bool = True
    schema: object = None

    def form(self, answer: Answer) -> Answer | None:
        """Give an answer the form that was asked for; None where it may not be said."""
        if isinstance(answer, str):
            if self.must_call:
                return None
            return answer if self.schema is None else self._json(answer)
        if not self.offers(call.name for call in answer):
            return None
        return answer if self.parallel else answer[:1]

    def offers(self, names: Iterable[str]) -> bool:
        """Tell whether all functions of these names may be called."""
        return all(name in self.tools for name in names)

    def fits(self, answer: Answer) -> bool:
        """Tell whether the arguments of all calls fit the parameters of their functions; a text always does.

        A function may have got other parameters since a model was taught its name.
        """
        return isinstance(answer, str) or all(self._fits_parameters(call) for call in answer)

    def _fits_parameters(self, call: Call) -> bool:
        tool = self.tools.get(call.name)
        try:
            arguments = json.loads(call.arguments)
        except (ValueError, RecursionError):
            return True  # whoever was taught broken arguments shall say them
        if tool is None or not tool.parameters or not isinstance(arguments, dict):
            return True
        properties = tool.parameters.get("properties")
        known = not isinstance(properties, Mapping) or set(arguments) <= set(properties)
        return known and fits(tool.parameters, arguments) is not False

    def narrow(self, odds: Odds) -> Odds | None:
        """Leave out what may not be said and share its probability out over the rest; None where nothing is left."""
        left: dict[Answer, float] = {}
        for answer, probability in zip(odds.answers, odds.probabilities, strict=True):
            formed = self.form(answer)
            if formed is not None:
                left[formed] = left.get(formed, 0.0) + probability
        total = sum(left.values())
        if total <= 0:
            return None
        kept = sum(odds.probabilities)  # below 1 where a model has not written all of its answers out
        return Odds(list(left), [p / total * kept for p in left.values()])

    def _json(self, text: str) -> str | None:
        try:
            value = json.loads(text)
        except (ValueError, RecursionError):
            value = None
        if isinstance(value, dict) and self._fits(value):
            return text
        field_name = self._only_field()
        wrapped = {field_name: text}
        return json.dumps(wrapped, ensure_ascii=False) if field_name and self._fits(wrapped) else None

    def _fits(self, value: object) -> bool:
        return self.schema is JSON_OBJECT or fits(self.schema, value) is True

    def _only_field(self) -> str | None:
        if self.schema is JSON_OBJECT:
            return "answer"
        properties = self.schema.get("properties") if isinstance(self.schema, Mapping) else None
        return next(iter(properties)) if isinstance(properties, Mapping) and len(properties) == 1 else None


ANYTHING = Wanted()
