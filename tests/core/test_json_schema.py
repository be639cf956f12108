"""The checker of schemas against `jsonschema`, and its bounds."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from logos_shift_openai.core.json_schema import fits

NAMES = st.sampled_from(["a", "b", "c"])
NUMBERS = st.integers(-4, 8) | st.sampled_from([0.5, 1.0, 2.5, -1.0])
LEAVES = st.none() | st.booleans() | NUMBERS | st.text("ab\U0001f600", max_size=3)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=3) | st.dictionaries(NAMES, inner, max_size=3), max_leaves=8
)
TYPES = st.sampled_from(["null", "boolean", "integer", "number", "string", "array", "object"])
SIZES = st.integers(0, 3)
POINTERS = st.sampled_from(["#", "#/$defs/a", "#/$defs/b", "#/$defs/a/properties/b"])


def schemas(inner):
    return st.fixed_dictionaries(
        {},
        optional={
            "type": TYPES | st.lists(TYPES, min_size=1, max_size=3, unique=True),
            "enum": st.lists(VALUES, max_size=3),
            "const": VALUES,
            "properties": st.dictionaries(NAMES, inner, max_size=2),
            "required": st.lists(NAMES, max_size=2, unique=True),
            "additionalProperties": inner,
            "items": inner,
            "prefixItems": st.lists(inner, min_size=1, max_size=2),
            "anyOf": st.lists(inner, min_size=1, max_size=2),
            "allOf": st.lists(inner, min_size=1, max_size=2),
            "minimum": NUMBERS,
            "maximum": NUMBERS,
            "exclusiveMinimum": NUMBERS,
            "exclusiveMaximum": NUMBERS,
            "multipleOf": st.sampled_from([1, 2, 3, 0.5, 2.5]),
            "minLength": SIZES,
            "maxLength": SIZES,
            "minItems": SIZES,
            "maxItems": SIZES,
            "minProperties": SIZES,
            "maxProperties": SIZES,
            "description": st.just("says nothing"),
        },
    )


SCHEMAS = st.recursive(st.booleans() | schemas(st.booleans()), schemas, max_leaves=6)


@given(SCHEMAS, VALUES)
def test_it_says_what_jsonschema_says(schema, value):
    assert fits(schema, value) is Draft202012Validator(schema).is_valid(value)


# With references only from the root into definitions that have none themselves, there is no endless way.
@given(schemas(st.booleans() | POINTERS.map(lambda to: {"$ref": to})), SCHEMAS, SCHEMAS, VALUES)
def test_references_lead_where_jsonschema_follows_them(root, first, second, value):
    schema = {**root, "$defs": {"a": {"properties": {"b": first}}, "b": second}}
    said = fits(schema, value)
    try:
        expected = Draft202012Validator(schema).is_valid(value)
    except RecursionError:
        expected = None
    assert said is expected or expected is None


JUNK = st.recursive(
    LEAVES | st.floats(),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(
                [
                    "type",
                    "enum",
                    "properties",
                    "required",
                    "items",
                    "anyOf",
                    "$ref",
                    "minimum",
                    "multipleOf",
                    "maxLength",
                    "a",
                ]
            ),
            inner,
            max_size=4,
        )
    ),
    max_leaves=12,
)


@given(JUNK, JUNK)
def test_odd_schemas_raise_nothing(schema, value):
    assert fits(schema, value) in {True, False, None}


def test_what_is_unknown_forbids_nothing():
    assert fits({"type": "string", "pattern": "^b", "format": "email", "not": {}}, "a")
    assert fits({"$ref": "https://elsewhere.example/schema"}, "a")
    assert fits({"patternProperties": {"^x": True}, "additionalProperties": False}, {"x": 1})


def nested(depth):
    schema, value = {}, 0
    for _ in range(depth):
        schema, value = {"items": schema}, [value]
    return schema, value


@pytest.mark.parametrize(
    ("schema", "value"),
    [
        ({"$ref": "#"}, 1),
        ({"$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}}, "$ref": "#/$defs/a"}, 1),
        nested(5_000),
        (
            {
                "$defs": {f"d{at}": {"allOf": [{"$ref": f"#/$defs/d{at + 1}"}] * 4} for at in range(40)},
                "$ref": "#/$defs/d0",
            },
            1,
        ),
    ],
    ids=["itself", "in circles", "deep", "exponential"],
)
def test_what_would_take_too_much_is_unknown(schema, value):
    assert fits(schema, value) is None
