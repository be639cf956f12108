"""An answer in parts: labels that are learnt one by one, and values that are copied.

Theory of operation. A JSON answer such as ``{"intents": ["change", "card"], "slots": {"date": "Monday"}}`` is hardly
ever the same twice, so there is little to learn from its whole shape. Where a file's answers are objects of one
make, each is cut into *labels*: an item of a list of labels, a value at a path, a key that only some answers have, a
gap that is filled from the question. Labels are learnt independently (``label_training``), and an answer is put
together of those that are likelier than not; what stands in a gap is the pointer's.

Owns the ``Plan``, read off the training answers alone, and the way between answers and labels. Pure functions.
"""

from __future__ import annotations

import json
from collections import Counter, defaultdict
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from .pointer import Slot
from .shapes import STYLES, style_of
from .spans import cut_up, pieces_for

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from .answers import Answer
    from .spans import Span

GAP: Final = "\0gap"
_MOST_LABELS = 400
_LEAST_ROWS = 40
_REPEATED = 0.5  # of the rows' answers at most this part is met again as a whole, else shapes do better
_DEEPEST = 4


@dataclass(frozen=True)
class Plan:
    """How answers of a file are made.

    Attributes:
        style: How their JSON is written, a place in ``STYLES``.
        lists: Paths of lists of labels, each with whether its items are always sorted.
        always: Paths of objects and values that every answer has.
        order: All paths in the order in which answers have them.
        labels: Path and value (``GAP`` for one that is copied); the order is that of the label model's answers.
    """

    style: int
    lists: dict[str, bool]
    always: list[str]
    order: list[str]
    labels: list[tuple[str, str]]

    @property
    def keys(self) -> list[str]:
        """The labels as the label model names them."""
        return [label_key(label) for label in self.labels]

    def to_json(self) -> dict[str, object]:
        """Describe it as JSON."""
        return asdict(self)


def plan_from_json(stored: Any) -> Plan:
    """Read what ``to_json`` wrote."""
    return Plan(**{**stored, "labels": [(path, value) for path, value in stored["labels"]]})


def plan_of(rows: Sequence[tuple[str, Answer]], copied: frozenset[str]) -> Plan | None:
    """Make a plan for ``(question, answer)`` pairs; None where their answers are better learnt as wholes.

    Args:
        rows: Of the training file.
        copied: Paths whose values mostly stand in their questions.
    """
    whole = Counter(answer for _, answer in rows)
    if len(rows) < _LEAST_ROWS or sum(n for n in whole.values() if n > 1) > _REPEATED * len(rows):
        return None
    trees = [_object(answer) for _, answer in rows]
    if any(tree is None for tree in trees):
        return None
    labels: Counter[tuple[str, str]] = Counter()
    paths: Counter[str] = Counter()
    places: defaultdict[str, list[int]] = defaultdict(list)
    lists: dict[str, bool] = {}
    for (text, _), tree in zip(rows, trees, strict=True):
        flat = _flat(tree, "", 0)
        if flat is None:
            return None
        for place, (path, value) in enumerate(flat):
            paths[path] += 1
            places[path].append(place)
            if isinstance(value, list):
                lists[path] = lists.get(path, True) and value == sorted(value)
        labels.update(set(labels_of_flat(flat, text, copied)))
    if not paths or len(labels) > _MOST_LABELS or len(labels) > len(rows):
        return None
    if len(paths) != len(places) or any(path in copied for path in lists):
        return None
    order = sorted(paths, key=lambda path: sum(places[path]) / len(places[path]))
    styles = Counter(style_of(str(answer)) for _, answer in rows)
    return Plan(
        style=max(styles.most_common(1)[0][0], 0),
        lists=lists,
        always=[path for path in order if paths[path] == len(rows)],
        order=order,
        labels=sorted(labels),
    )


def labels_of(plan: Plan, text: str, answer: Answer, copied: frozenset[str]) -> frozenset[str]:
    """Give the labels of an answer, as the label model names them; none where it is of another make."""
    flat = _flat(_object(answer), "", 0) or []
    found = set(labels_of_flat(flat, text, copied))
    return frozenset(label_key(one) for one in plan.labels if one in found)


def label_key(label: tuple[str, str]) -> str:
    """Name a label."""
    return json.dumps(label)


def labels_of_flat(flat: Iterable[tuple[str, Any]], text: str, copied: frozenset[str]) -> Iterable[tuple[str, str]]:
    """Give the labels of a flattened answer."""
    for path, value in flat:
        if isinstance(value, list):
            for item in value:
                yield path, json.dumps(item)
        elif path in copied and pieces_for(value, cut_up(text)):
            yield path, GAP + kind_of(value)
        elif value != {}:
            yield path, json.dumps(value)


def gaps_of(text: str, answer: Answer, copied: frozenset[str]) -> list[tuple[Slot, frozenset[Span]]]:
    """Give the gaps of an answer, with the pieces of the question that are right there."""
    found = []
    for path, value in _flat(_object(answer), "", 0) or []:
        if path in copied and not isinstance(value, list):
            pieces = pieces_for(value, cut_up(text))
            if pieces:
                found.append((Slot(path, kind_of(value), 0), frozenset(pieces)))
    return found


def put_together(plan: Plan, chosen: Sequence[tuple[str, Any]]) -> str:
    """Write an answer.

    Args:
        plan: Of the file.
        chosen: Path and value; of a list, path and item, several times.
    """
    by_path: dict[str, Any] = {}
    for path, value in chosen:
        if path in plan.lists:
            by_path.setdefault(path, []).append(value)
        else:
            by_path[path] = value
    tree: dict[str, Any] = {}
    for path in plan.order:
        if path in plan.lists:
            items = by_path.get(path, [])
            value = sorted(items) if plan.lists[path] else items
        elif path in by_path:
            value = by_path[path]
        elif path in plan.always and any(one.startswith(path + ".") for one in plan.order):
            value = {}
        else:
            continue
        _put(tree, path.split(".")[1:], value)
    return json.dumps(tree, **STYLES[plan.style])  # type: ignore[arg-type]


def kind_of(value: object) -> str:
    """Name the kind of a gap, as a slot has it."""
    return "text" if isinstance(value, str) else "integer" if isinstance(value, int) else "number"


def _put(tree: dict[str, Any], keys: Sequence[str], value: Any) -> None:
    for key in keys[:-1]:
        tree = tree.setdefault(key, {})
    tree.setdefault(keys[-1], value)


def _object(answer: Answer) -> dict[str, Any] | None:
    if not isinstance(answer, str) or style_of(answer) < 0:
        return None
    found = json.loads(answer)
    return found if isinstance(found, dict) and found else None


def _flat(tree: Any, path: str, depth: int) -> list[tuple[str, Any]] | None:
    """List paths and values, objects before what is in them; None where it is too deep, or a list holds no labels."""
    if isinstance(tree, list):
        labels = all(isinstance(item, str) for item in tree) and len(set(tree)) == len(tree)
        return [(path, tree)] if labels else None
    found: list[tuple[str, Any]] = []
    if isinstance(tree, dict):
        if depth > _DEEPEST or any("." in key or not key for key in tree):
            return None
        if path:
            found.append((path, {}))
        for key, value in tree.items():
            inner = _flat(value, f"{path}.{key}", depth + 1)
            if inner is None:
                return None
            found += inner
        return found
    return [(path, tree)] if path else None
