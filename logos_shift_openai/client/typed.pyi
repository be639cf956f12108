# The four clients as type checkers see them: the SDK's classes, with the resources whose answers carry an id.
# Only the way from a client to a resource is spelled out here; typed_resources.pyi has the resources, and
# typed_answers.pyi what they give. The rule: only what has an id at its end is declared anew.
import openai
from openai._client import AsyncOpenAIWithRawResponse as SdkAsyncOpenAIWithRawResponse
from openai._client import AsyncOpenAIWithStreamedResponse as SdkAsyncOpenAIWithStreamedResponse
from openai._client import OpenAIWithRawResponse as SdkOpenAIWithRawResponse
from openai._client import OpenAIWithStreamedResponse as SdkOpenAIWithStreamedResponse
from openai._compat import cached_property
from openai.resources import beta as sdk_beta
from openai.resources import chat as sdk_chat

from .typed_resources import (
    AsyncAzureOpenAIInit,
    AsyncChatCompletions,
    AsyncChatCompletionsWithRawResponse,
    AsyncChatCompletionsWithStreamingResponse,
    AsyncCompletions,
    AsyncCompletionsWithRawResponse,
    AsyncCompletionsWithStreamingResponse,
    AsyncEmbeddings,
    AsyncEmbeddingsWithRawResponse,
    AsyncEmbeddingsWithStreamingResponse,
    AsyncOpenAIInit,
    AsyncResponses,
    AsyncResponsesWithRawResponse,
    AsyncResponsesWithStreamingResponse,
    AzureOpenAIInit,
    ChatCompletions,
    ChatCompletionsWithRawResponse,
    ChatCompletionsWithStreamingResponse,
    Completions,
    CompletionsWithRawResponse,
    CompletionsWithStreamingResponse,
    Embeddings,
    EmbeddingsWithRawResponse,
    EmbeddingsWithStreamingResponse,
    OpenAIInit,
    Responses,
    ResponsesWithRawResponse,
    ResponsesWithStreamingResponse,
)

class Chat(sdk_chat.Chat):
    @cached_property
    def completions(self) -> ChatCompletions: ...
    @cached_property
    def with_raw_response(self) -> ChatWithRawResponse: ...
    @cached_property
    def with_streaming_response(self) -> ChatWithStreamingResponse: ...

class ChatWithRawResponse(sdk_chat.ChatWithRawResponse):
    @cached_property
    def completions(self) -> ChatCompletionsWithRawResponse: ...

class ChatWithStreamingResponse(sdk_chat.ChatWithStreamingResponse):
    @cached_property
    def completions(self) -> ChatCompletionsWithStreamingResponse: ...

class Beta(sdk_beta.Beta):
    @cached_property
    def chat(self) -> Chat: ...

class AsyncChat(sdk_chat.AsyncChat):
    @cached_property
    def completions(self) -> AsyncChatCompletions: ...
    @cached_property
    def with_raw_response(self) -> AsyncChatWithRawResponse: ...
    @cached_property
    def with_streaming_response(self) -> AsyncChatWithStreamingResponse: ...

class AsyncChatWithRawResponse(sdk_chat.AsyncChatWithRawResponse):
    @cached_property
    def completions(self) -> AsyncChatCompletionsWithRawResponse: ...

class AsyncChatWithStreamingResponse(sdk_chat.AsyncChatWithStreamingResponse):
    @cached_property
    def completions(self) -> AsyncChatCompletionsWithStreamingResponse: ...

class AsyncBeta(sdk_beta.AsyncBeta):
    @cached_property
    def chat(self) -> AsyncChat: ...

class OpenAI(OpenAIInit, openai.OpenAI):
    @cached_property
    def chat(self) -> Chat: ...
    @cached_property
    def beta(self) -> Beta: ...
    @cached_property
    def completions(self) -> Completions: ...
    @cached_property
    def embeddings(self) -> Embeddings: ...
    @cached_property
    def responses(self) -> Responses: ...
    @cached_property
    def with_raw_response(self) -> OpenAIWithRawResponse: ...
    @cached_property
    def with_streaming_response(self) -> OpenAIWithStreamedResponse: ...

class OpenAIWithRawResponse(SdkOpenAIWithRawResponse):
    @cached_property
    def chat(self) -> ChatWithRawResponse: ...
    @cached_property
    def completions(self) -> CompletionsWithRawResponse: ...
    @cached_property
    def embeddings(self) -> EmbeddingsWithRawResponse: ...
    @cached_property
    def responses(self) -> ResponsesWithRawResponse: ...

class OpenAIWithStreamedResponse(SdkOpenAIWithStreamedResponse):
    @cached_property
    def chat(self) -> ChatWithStreamingResponse: ...
    @cached_property
    def completions(self) -> CompletionsWithStreamingResponse: ...
    @cached_property
    def embeddings(self) -> EmbeddingsWithStreamingResponse: ...
    @cached_property
    def responses(self) -> ResponsesWithStreamingResponse: ...

class AsyncOpenAI(AsyncOpenAIInit, openai.AsyncOpenAI):
    @cached_property
    def chat(self) -> AsyncChat: ...
    @cached_property
    def beta(self) -> AsyncBeta: ...
    @cached_property
    def completions(self) -> AsyncCompletions: ...
    @cached_property
    def embeddings(self) -> AsyncEmbeddings: ...
    @cached_property
    def responses(self) -> AsyncResponses: ...
    @cached_property
    def with_raw_response(self) -> AsyncOpenAIWithRawResponse: ...
    @cached_property
    def with_streaming_response(self) -> AsyncOpenAIWithStreamedResponse: ...

class AsyncOpenAIWithRawResponse(SdkAsyncOpenAIWithRawResponse):
    @cached_property
    def chat(self) -> AsyncChatWithRawResponse: ...
    @cached_property
    def completions(self) -> AsyncCompletionsWithRawResponse: ...
    @cached_property
    def embeddings(self) -> AsyncEmbeddingsWithRawResponse: ...
    @cached_property
    def responses(self) -> AsyncResponsesWithRawResponse: ...

class AsyncOpenAIWithStreamedResponse(SdkAsyncOpenAIWithStreamedResponse):
    @cached_property
    def chat(self) -> AsyncChatWithStreamingResponse: ...
    @cached_property
    def completions(self) -> AsyncCompletionsWithStreamingResponse: ...
    @cached_property
    def embeddings(self) -> AsyncEmbeddingsWithStreamingResponse: ...
    @cached_property
    def responses(self) -> AsyncResponsesWithStreamingResponse: ...

# The SDK's family holds among ours: an Azure client is an OpenAI client.
class AzureOpenAI(AzureOpenAIInit, openai.AzureOpenAI, OpenAI): ...
class AsyncAzureOpenAI(AsyncAzureOpenAIInit, openai.AsyncAzureOpenAI, AsyncOpenAI): ...
