"""An environment whose SDK runs on pydantic 1 is told what is missing, by name, at the import."""

from __future__ import annotations

import subprocess
import sys


def test_the_import_names_what_is_missing():
    """The SDK still takes pydantic 1; the client reads and writes answers with the core of pydantic 2."""
    code = "import sys; sys.modules['pydantic_core'] = None\nfrom logos_shift_openai import OpenAI"
    ended = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)
    assert ended.returncode == 1
    assert ended.stderr.splitlines()[-1].startswith("ImportError: logos_shift_openai needs pydantic 2 or later")
