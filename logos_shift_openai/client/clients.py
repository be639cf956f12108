"""The four clients: the SDK's own, with the seam in front. Names, family and signatures are the SDK's."""

from __future__ import annotations

from functools import wraps
from typing import TYPE_CHECKING, Any

import openai

from .seam import AsyncLogosShiftMixin, LogosShiftMixin, take

if TYPE_CHECKING:
    from .typed import AsyncAzureOpenAI, AsyncOpenAI, AzureOpenAI, OpenAI
else:

    class OpenAI(LogosShiftMixin, openai.OpenAI):
        """`openai.OpenAI`, recorded and routed; also takes `logos_shift=LogosShift(...)`."""

        @wraps(openai.OpenAI.__init__)
        def __init__(self, *args: Any, logos_shift: Any = None, **kwargs: Any) -> None:
            super().__init__(*args, logos_shift=logos_shift, **kwargs)

        @wraps(openai.OpenAI.copy)
        def copy(self, *args: Any, **kwargs: Any) -> OpenAI:  # noqa: D102 - the SDK's
            return super().copy(*args, **kwargs)

        with_options = copy

    class AsyncOpenAI(AsyncLogosShiftMixin, openai.AsyncOpenAI):
        """`openai.AsyncOpenAI`, recorded and routed; also takes `logos_shift=LogosShift(...)`."""

        @wraps(openai.AsyncOpenAI.__init__)
        def __init__(self, *args: Any, logos_shift: Any = None, **kwargs: Any) -> None:
            super().__init__(*args, logos_shift=logos_shift, **kwargs)

        @wraps(openai.AsyncOpenAI.copy)
        def copy(self, *args: Any, **kwargs: Any) -> AsyncOpenAI:  # noqa: D102 - the SDK's
            return super().copy(*args, **kwargs)

        with_options = copy

    # The SDK's Azure classes descend from its plain ones, and so do ours; their constructors take no foreign argument.

    class AzureOpenAI(openai.AzureOpenAI, OpenAI):
        """`openai.AzureOpenAI`, recorded and routed; also takes `logos_shift=LogosShift(...)`."""

        @wraps(openai.AzureOpenAI.__init__)
        def __init__(self, *args: Any, logos_shift: Any = None, **kwargs: Any) -> None:
            take(self, logos_shift)
            super().__init__(*args, **kwargs)

    class AsyncAzureOpenAI(openai.AsyncAzureOpenAI, AsyncOpenAI):
        """`openai.AsyncAzureOpenAI`, recorded and routed; also takes `logos_shift=LogosShift(...)`."""

        @wraps(openai.AsyncAzureOpenAI.__init__)
        def __init__(self, *args: Any, logos_shift: Any = None, **kwargs: Any) -> None:
            take(self, logos_shift)
            super().__init__(*args, **kwargs)


__all__ = ["AsyncAzureOpenAI", "AsyncOpenAI", "AzureOpenAI", "OpenAI"]
