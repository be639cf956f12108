"""The same as `logos-shift`, for `python -m logos_shift_openai.cli`."""

from __future__ import annotations

from logos_shift_openai.cli.main import run

if __name__ == "__main__":
    run()
