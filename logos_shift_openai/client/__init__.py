"""What lives in the caller's process: the seam in the SDK's clients, the recorder, the spool and the uploader."""

from __future__ import annotations

try:
    import pydantic_core as _pydantic_core  # noqa: F401 - it comes with the pydantic that the SDK brings
except ModuleNotFoundError:
    raise ImportError(
        "logos_shift_openai needs pydantic 2 or later under the OpenAI SDK, and here is none: "
        "pip install --upgrade 'pydantic>=2'"
    ) from None
