# What a call gives back, for type checkers only: the SDK's own classes, each with the id of its call.
# Every class here stands for a plain SDK object that had `logos_shift_id` put on it; none exists at run time.
# The rule: a subclass, so that each value still goes wherever the SDK's type is asked for.
from collections.abc import AsyncIterator, Iterator
from typing import Generic, TypeVar, overload

from openai import AsyncStream, Stream
from openai._legacy_response import LegacyAPIResponse
from openai._response import (
    APIResponse,
    AsyncAPIResponse,
    AsyncResponseContextManager,
    ResponseContextManager,
)
from openai.types import Completion, CreateEmbeddingResponse
from openai.types.chat import ChatCompletion, ChatCompletionChunk, ParsedChatCompletion
from openai.types.responses import ParsedResponse, Response

_T = TypeVar("_T")
_ContentT = TypeVar("_ContentT")
_PlainT = TypeVar("_PlainT")
_TaggedT = TypeVar("_TaggedT")
_PlainT_co = TypeVar("_PlainT_co", covariant=True)
_TaggedT_co = TypeVar("_TaggedT_co", covariant=True)

class Tagged:
    @property
    def logos_shift_id(self) -> str: ...

# The SDK's type and ours side by side, so that the raw form of a generic answer can have both.
class Pair(Generic[_PlainT_co, _TaggedT_co]): ...
class TaggedChatCompletion(ChatCompletion, Tagged): ...
class TaggedChatCompletionChunk(ChatCompletionChunk, Tagged): ...
class TaggedCompletion(Completion, Tagged): ...
class TaggedCreateEmbeddingResponse(CreateEmbeddingResponse, Tagged): ...
class TaggedResponse(Response, Tagged): ...
class TaggedParsedChatCompletion(
    ParsedChatCompletion[_ContentT],
    Tagged,
    Pair[ParsedChatCompletion[_ContentT], TaggedParsedChatCompletion[_ContentT]],
    Generic[_ContentT],
): ...
class TaggedParsedResponse(
    ParsedResponse[_ContentT],
    Tagged,
    Pair[ParsedResponse[_ContentT], TaggedParsedResponse[_ContentT]],
    Generic[_ContentT],
): ...

class TaggedStream(Stream[_PlainT], Tagged, Generic[_PlainT, _TaggedT]):
    def __next__(self) -> _TaggedT: ...  # type: ignore[override]
    def __iter__(self) -> Iterator[_TaggedT]: ...  # type: ignore[override]

class TaggedAsyncStream(AsyncStream[_PlainT], Tagged, Generic[_PlainT, _TaggedT]):
    async def __anext__(self) -> _TaggedT: ...  # type: ignore[override]
    def __aiter__(self) -> AsyncIterator[_TaggedT]: ...  # type: ignore[override]

# `with_raw_response`: sync and async calls give the same class, as in the SDK.
class TaggedRawResponse(LegacyAPIResponse[_PlainT], Tagged, Generic[_PlainT, _TaggedT]):
    @overload  # type: ignore[override]
    def parse(self, *, to: type[_T]) -> _T: ...
    @overload
    def parse(self) -> _TaggedT: ...

# `with_streaming_response`.
class TaggedAPIResponse(APIResponse[_PlainT], Tagged, Generic[_PlainT, _TaggedT]):
    @overload  # type: ignore[override]
    def parse(self, *, to: type[_T]) -> _T: ...
    @overload
    def parse(self) -> _TaggedT: ...

class TaggedAsyncAPIResponse(AsyncAPIResponse[_PlainT], Tagged, Generic[_PlainT, _TaggedT]):
    @overload  # type: ignore[override]
    async def parse(self, *, to: type[_T]) -> _T: ...
    @overload
    async def parse(self) -> _TaggedT: ...

class TaggedResponseContextManager(ResponseContextManager[APIResponse[_PlainT]], Generic[_PlainT, _TaggedT]):
    def __enter__(self) -> TaggedAPIResponse[_PlainT, _TaggedT]: ...

class TaggedAsyncResponseContextManager(
    AsyncResponseContextManager[AsyncAPIResponse[_PlainT]], Generic[_PlainT, _TaggedT]
):
    async def __aenter__(self) -> TaggedAsyncAPIResponse[_PlainT, _TaggedT]: ...
