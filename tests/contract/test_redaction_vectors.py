"""The bodies in `redaction.json` and what must be left of them; another language could run them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from logos_shift_openai.core.redaction import Cleaned, Redaction, clean

VECTORS = json.loads((Path(__file__).parent / "redaction.json").read_text(encoding="utf-8"))


def cleaned(vector: dict[str, Any], body: bytes) -> Cleaned:
    redaction = Redaction.build(vector["rules"], vector["keys"], [tuple(pattern) for pattern in vector["patterns"]])
    return clean(body, root=vector["root"], redaction=redaction, limit=vector["limit"])


@pytest.mark.parametrize("ascii_only", [False, True])
@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_redaction(vector: dict[str, Any], ascii_only: bool):
    """Exactly what must go is gone, visibly, and everything else is as it was, however the body was written."""
    result = cleaned(vector, json.dumps(vector["body"], ensure_ascii=ascii_only, indent=2).encode())
    assert json.loads(result.body) == vector["cleaned"]
    assert dict(result.redacted) == vector["redacted"]
    assert [{"path": one.path, "sha256": one.sha256, "bytes": one.bytes} for one in result.media] == vector["media"]
    assert list(result.truncated) == vector["truncated"]
    assert b"\n" not in result.body
    if vector["limit"] is not None:
        assert len(result.body) <= vector["limit"]


@pytest.mark.parametrize("vector", VECTORS, ids=lambda vector: vector["name"])
def test_redacting_twice_changes_nothing(vector: dict[str, Any]):
    """What was cleaned is clean."""
    once = cleaned(vector, json.dumps(vector["body"]).encode())
    again = cleaned(vector, once.body)
    assert again.body == once.body
    assert again.media == ()
