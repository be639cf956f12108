"""`LogosShift`: the settings of a client, and everything a user asks of this package beside the calls themselves."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from logos_shift_openai.core.ids import fraction
from logos_shift_openai.core.routing import ROUTING_OFF, Units, route

from . import feedback as _feedback
from .context import CallContext, context, headers
from .endpoints import new_id
from .providers import ProviderClients
from .runtime import runtime_for
from .settings import read_settings

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from os import PathLike

    from .functions import Instrumented

from logos_shift_openai.core.redaction import Redaction  # noqa: TC001 - read by whoever asks for the annotations


@dataclass(frozen=True)
class Explanation:
    """Where a call would go, and why.

    Args:
        variant: "baseline" or "candidate"; None outside every experiment.
        model: The model that would answer.
        provider: Its provider, None for the caller's own client.
        experiment: Key of the experiment.
        unit: What would be bucketed, as kind and id.
        bucket: Where the hash puts it, 0 to 9,999.
        share: The candidate's part, in basis points.
        why: The reason in words.
    """

    variant: Literal["baseline", "candidate"] | None
    model: str
    provider: str | None
    experiment: str | None
    unit: tuple[str, str] | None
    bucket: int | None
    share: int | None
    why: str


class LogosShift:
    """Settings for clients and functions; what is not given comes from the environment, then from the defaults.

    Args:
        url: Server that records go to; without one they stay on this machine.
        api_key: Key of that server, never of a model provider.
        home: Folder of the embedded store, the config and the spool.
        config: A file or an address to read a fixed config from.
        enabled: False makes it the plain SDK.
        routing: False sends every call to its baseline.
        logging: False records nothing.
        force_variant: "baseline" or "candidate", overrules the hash.
        dataset: Dataset of calls that name none.
        sample_rate: Part of the calls that is recorded, in [0, 1].
        redact: Rule names as in `secrets,email`, or a function that gets `{"request", "response", "metadata"}` and
            gives what to keep of them, or None to record nothing.
        record_bytes: Longest record, in bytes.
        shadow: False mirrors nothing to a candidate, whatever the config asks.
        spool_bytes: Most bytes that the spool may hold on disk.
        filename: Records are also appended to this file, a JSON line each.
        user_id: End user of calls that name none.
        metadata: Metadata of all calls.
        providers: By name, endpoints that a config may send a candidate's calls to: `Provider` values, or clients of
            the SDK.

    Raises:
        SettingsError: a value cannot be meant; the message names it and what it takes.
    """

    context = staticmethod(context)
    headers = staticmethod(headers)

    def __init__(
        self,
        *,
        url: str | None = None,
        api_key: str | None = None,
        home: str | PathLike[str] | None = None,
        config: str | PathLike[str] | None = None,
        enabled: bool | None = None,
        routing: bool | None = None,
        logging: bool | None = None,
        force_variant: Literal["baseline", "candidate"] | None = None,
        dataset: str | None = None,
        sample_rate: float | None = None,
        redact: str | Redaction | Callable[[dict[str, Any]], dict[str, Any] | None] | None = None,
        record_bytes: int | str | None = None,
        shadow: bool | None = None,
        spool_bytes: int | str | None = None,
        filename: str | PathLike[str] | None = None,
        user_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
        providers: Mapping[str, Any] | None = None,
    ) -> None:
        given = {name: value for name, value in locals().items() if name not in {"self", "user_id", "metadata"}}
        self.settings = read_settings(given)
        self.said = CallContext(dataset=self.settings.dataset, user_id=user_id, metadata=dict(metadata or {}))
        self.runtime = runtime_for(self.settings)
        self._providers: dict[str, ProviderClients] = {}

    def __call__(
        self,
        *,
        dataset: str | None = None,
        name: str | None = None,
        candidate: Callable[..., Any] | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> Instrumented:
        """Record a function as one call, and make it the parent of the calls to models inside it.

        Args:
            dataset: Dataset of the calls.
            name: Name in the records, the function's qualified name unless given.
            candidate: Another function with the same parameters, A/B tested against the decorated one by the
                experiment whose requested model is `name`.
            metadata: Metadata of all its calls.
        """
        from .functions import Instrumented  # noqa: PLC0415 - who decorates nothing need not load it

        return Instrumented(self, dataset=dataset, name=name, candidate=candidate, metadata=metadata)

    def provider(self, name: str) -> ProviderClients:
        """Give the SDK clients of a provider.

        Raises:
            KeyError: no provider has this name.
        """
        found = self._providers.get(name)
        if found is None:
            found = self._providers.setdefault(name, ProviderClients(self.settings.providers[name]))
        return found

    def records(self, call_id: str, context: CallContext, dataset: str) -> bool:
        """Decide whether a call is recorded; one that sampling leaves out is counted."""
        settings = self.settings
        if context.log is False or not (settings.logging and settings.enabled):
            return False
        config = self.runtime.config
        rate = settings.sample_rate if config is None else settings.sample_rate * config.sampling.of(dataset)
        if rate >= 1.0 or fraction(call_id) < rate:
            return True
        self.runtime.counters.add("sampled_out")
        return False

    def explain(
        self,
        *,
        model: str,
        user_id: str | None = None,
        conversation_id: str | None = None,
        dataset: str | None = None,
        endpoint: str = "chat.completions",
    ) -> Explanation:
        """Tell where a call would go and why, without calling. Parameters are as those of the call."""
        settings, config = self.settings, self.runtime.config
        if settings.routing and settings.enabled:
            chosen = route(
                config,
                dataset=dataset or settings.dataset,
                model=model,
                units=Units(new_id(), user_id, conversation_id),
                endpoint=endpoint,
                providers=settings.providers,
                force=settings.force_variant,
            )
        else:
            chosen = ROUTING_OFF
        experiment = chosen.experiment
        candidate = experiment.candidate if experiment is not None and chosen.use_candidate else None
        return Explanation(
            variant=chosen.assigned,
            model=candidate.model if candidate else model,
            provider=candidate.provider if candidate else None,
            experiment=experiment.key if experiment else None,
            unit=(chosen.unit.kind, chosen.unit.id) if chosen.unit else None,
            bucket=chosen.bucket,
            share=experiment.share if experiment else None,
            why=chosen.why,
        )

    def stats(self) -> dict[str, Any]:
        """Count what was recorded, sent, spooled and dropped by reason, and the age of the config in seconds."""
        return self.runtime.stats()

    def flush(self, timeout: float = 5.0) -> bool:
        """Wait until all records are written, and sent where there is a server; for Lambda and short scripts.

        Args:
            timeout: Seconds to wait at most.

        Returns:
            Whether everything got where it was to go.
        """
        return self.runtime.flush(timeout)

    def provide_feedback(
        self,
        call: object,
        value: _feedback.Value = None,
        *,
        comment: str | None = None,
        correction: Any = None,
        by: str | None = None,
    ) -> str:
        """Say how good an answer was; see `logos_shift_openai.provide_feedback`."""
        return _feedback.record(self.runtime, call, value, comment=comment, correction=correction, by=by)

    async def aprovide_feedback(
        self,
        call: object,
        value: _feedback.Value = None,
        *,
        comment: str | None = None,
        correction: Any = None,
        by: str | None = None,
    ) -> str:
        """Say how good an answer was, from asynchronous code; it waits for nothing either way."""
        return self.provide_feedback(call, value, comment=comment, correction=correction, by=by)
