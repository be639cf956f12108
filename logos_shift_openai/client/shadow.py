"""Mirrors calls of the baseline's to the candidate, when they have ended, for nobody's eyes but the comparison's.

Its rule: nothing of it is on a caller's thread. The recorder's thread offers a call that it has encoded; two threads of
our own, which begin with the first offer, send it to the candidate's provider and hand the answer to the recorder as a
record with `shadow_of`. What is over the experiment's budget, or over the bounds of what may wait, is counted and left.
A process that ends waits for nothing here; a forked child begins with nothing.
"""

from __future__ import annotations

import time
from collections import deque
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

import openai

from logos_shift_openai.core.body_sampling import keeps_bodies
from logos_shift_openai.core.routing import Route

from .asking import UnsendableError, ask, body_for
from .call import Call, described, encode
from .context import CallContext
from .endpoints import new_id
from .periodic import Periodic, reset_in_child
from .providers import Provider, ProviderClients

if TYPE_CHECKING:
    from collections.abc import Callable

    from logos_shift_openai.core.config import Experiment

    from .runtime import Runtime

SECONDS: Final = 60.0
"""The candidate's time for an answer nobody waits for."""

_THREADS: Final = 2
_MOST_WAITING: Final = 32
_MOST_BYTES: Final = 8 * 2**20
_MINUTE: Final = 60.0
_HEAD_BYTES: Final = 1_024
_WHOLE: Final = 2**64


class Shadow:
    """What waits to be mirrored, and the threads that do it.

    Args:
        runtime: Whose config counts, whose recorder takes the answers, whose counters count.
        clock: Seconds that never go back.
    """

    def __init__(self, runtime: Runtime, clock: Callable[[], float] = time.monotonic) -> None:
        self._runtime = runtime
        self._counters = runtime.counters
        self._clock = clock
        self._closed = False
        self._threads = tuple(
            Periodic(f"logos-shift-shadow-{number}", self.step, count=self._counters.add) for number in range(_THREADS)
        )
        self.after_fork()
        reset_in_child(self)

    def after_fork(self) -> None:
        """Leave what waits to the parent, and its connections too."""
        self._waiting: deque[Call] = deque()
        self._bytes = 0
        self._sent_at: dict[str, deque[float]] = {}
        self._clients: dict[int, ProviderClients] = {}

    def offer(self, call: Call) -> None:
        """Take a call that has ended, if it is to be mirrored. For the recorder's thread alone."""
        experiment = call.route.experiment
        if experiment is None or experiment.shadow is None or call.request is None or not _answered(call):
            return
        if not (_drawn(call.id, experiment.shadow.rate) and self._keeps_bodies(call)):
            return
        if self._closed:
            self._counters.add("shadow_too_late")
        elif len(self._waiting) >= _MOST_WAITING or self._bytes + len(call.request) > _MOST_BYTES:
            self._counters.add("shadow_queue_full")
        elif not self._within_budget(experiment.key, experiment.shadow.calls_per_minute):
            self._counters.add("shadow_over_budget")
        else:
            self._waiting.append(call)
            self._bytes += len(call.request)
            for thread in self._threads:
                thread.start()
                thread.wake()

    def step(self) -> float | None:
        """Mirror one call; gives the seconds to the next turn, None when nothing waits."""
        try:
            call = self._waiting.popleft()
        except IndexError:
            self._bytes = 0
            return None
        self._bytes -= len(call.request or b"")
        experiment = self._wanted(call)
        if experiment is None or self._closed:
            self._counters.add("shadow_too_late")
        else:
            self._mirror(call, experiment)
        return 0.0

    def close(self) -> None:
        """Send nothing more; what is under way is left to end with the process."""
        self._closed = True
        self._counters.add("shadow_too_late", len(self._waiting))
        self._waiting.clear()
        for thread in self._threads:
            thread.stop(0.0)

    def _keeps_bodies(self, call: Call) -> bool:
        config = self._runtime.config
        return config is not None and keeps_bodies(config.sampling, call.dataset, call.id, call.context.parent)

    def _within_budget(self, key: str, most: int) -> bool:
        sent = self._sent_at.setdefault(key, deque())
        now = self._clock()
        while sent and sent[0] <= now - _MINUTE:
            sent.popleft()
        if len(sent) >= most:
            return False
        sent.append(now)
        return True

    def _wanted(self, call: Call) -> Experiment | None:
        """Give the experiment as the config has it by now; None where it mirrors no more, or to another candidate."""
        config, before = self._runtime.config, call.route.experiment
        if config is None or before is None or not config.enabled:
            return None
        now = next((one for one in config.experiments if one.key == before.key), None)
        wanted = now is not None and now.state == "running" and now.shadow is not None
        return now if wanted and now is not None and now.candidate == before.candidate else None

    def _mirror(self, call: Call, experiment: Experiment) -> None:
        client = self._client(call.mirror)
        try:
            body = body_for(experiment.candidate, call.request or b"null")
        except UnsendableError:
            client = None
        if client is None:
            self._counters.add("shadow_unsendable")
            return
        shadow = _shadow_of(call, experiment)
        shadow.request = encode(body)  # for the caller's own redaction; it is not recorded
        self._counters.add("shadow_sent")
        error = None
        try:
            shadow.response = ask(
                client, call.endpoint, body, seconds=SECONDS, most=self._runtime.record_bytes, clock=self._clock
            )
        except Exception as problem:  # noqa: BLE001 - whatever a candidate's end does, it is its failure
            self._counters.add("shadow_failed")
            error = described(problem)
            shadow.complete, shadow.error = False, error
        candidate = experiment.candidate
        shadow.duration = time.perf_counter() - shadow.started
        shadow.attempts.append(("candidate", candidate.model, candidate.provider, shadow.duration, error))
        shadow.ended = True
        if not self._closed:
            self._runtime.recorder.put(shadow, _HEAD_BYTES + len(shadow.request) + len(shadow.response or b""))

    def _client(self, provider: Provider | None) -> Any:
        if provider is None:
            return None
        if provider.base_url is None and not isinstance(provider.client, openai.OpenAI):
            return None  # an asynchronous client alone: its connections belong to the caller's event loop
        clients = self._clients.get(id(provider))
        if clients is None:
            clients = self._clients[id(provider)] = ProviderClients(provider)
        return clients.sync()


def _answered(call: Call) -> bool:
    """Tell whether the caller got a whole answer, as its record says by now."""
    return call.complete and call.error is None


def _drawn(call_id: str, rate: float) -> bool:
    digest = sha256(f"logos_shift shadow {call_id}".encode()).digest()
    return int.from_bytes(digest[:8], "big") / _WHOLE < rate


def _shadow_of(call: Call, experiment: Experiment) -> Call:
    """Begin the record; assigned to nothing, so that not even a server that knows no shadows counts it."""
    shadow = Call(
        call.runtime,
        new_id(),
        call.endpoint,
        CallContext(dataset=call.dataset),
        call.dataset,
        Route(f"a shadow of {call.id}", None, experiment),
        call.version,
        call.requested_model,
        None,
        False,
        True,
    )
    shadow.shadow_of = call.id
    return shadow
