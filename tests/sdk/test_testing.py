"""What a program's own tests may use to see its records."""

from __future__ import annotations

import os
from pathlib import Path

from provider import MESSAGES

import logos_shift_openai as ours
from logos_shift_openai.testing import captured


def test_captured(provider, home, monkeypatch):
    """Records made inside the block are seen, and nothing of it stays."""
    monkeypatch.setenv("LOGOS_SHIFT_DATASET", "elsewhere")
    with captured() as records:
        answer = provider.client().chat.completions.create(model="m", messages=MESSAGES)
        ours.provide_feedback(answer, True)
        (call,) = records.calls()
        (feedback,) = records.feedback()
        assert call["dataset"] == "default"
        inside = os.environ["LOGOS_SHIFT_HOME"]
    assert feedback["call_id"] == call["id"] == answer.logos_shift_id
    assert not Path(inside).exists()
    assert os.environ["LOGOS_SHIFT_HOME"] == str(home)
    assert os.environ["LOGOS_SHIFT_DATASET"] == "elsewhere"
