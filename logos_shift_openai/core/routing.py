"""The route of a call: which experiment it belongs to, which variant its unit is assigned to, and why.

Pure and deterministic: the same config, dataset, model and unit always give the same route, in any process and
any language (vectors: `tests/contract/routing.json`). A unit's bucket is the first 8 bytes, big-endian, of
SHA-256(salt NUL unit) modulo 10,000; it goes to the candidate when the bucket is below the share in basis points,
so raising a share moves nobody back. Source of the rule: Kohavi, Tang, Xu, *Trustworthy Online Controlled
Experiments*, 2020, chapter 12 (salted hashing of the randomisation unit).
"""

from __future__ import annotations

from hashlib import sha256
from struct import Struct
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from .config import NO_PROMPT, SHARE_MAX, Config, Experiment
from .records import Unit, Variant

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Mapping

BUCKETS: Final = SHARE_MAX
NO_BODY: Final[Mapping[str, Any]] = {}


# Units and routes are made on the caller's thread; a named tuple takes half the time of a frozen dataclass, and half of
# that again where it is not made through its class.
made = tuple.__new__


class Units(NamedTuple):
    """The names a call can be bucketed by, most lasting first; the call's own id is always there."""

    call: str
    user: str | None = None
    conversation: str | None = None

    def pick(self, wanted: str) -> Unit:
        """Choose the wanted kind of unit, else the next more short-lived one that the call has."""
        if wanted == "user" and self.user:
            return made(Unit, ("user", self.user))
        if wanted != "call" and self.conversation:
            return made(Unit, ("conversation", self.conversation))
        return made(Unit, ("call", self.call))


class Route(NamedTuple):
    """The choice for one call.

    Args:
        assigned: Where the hash put the call; None outside every experiment.
        experiment: The experiment it belongs to, also when it is paused or the candidate cannot be used.
        unit: What was bucketed.
        bucket: Where the hash put the unit, 0 to 9,999.
        use_candidate: Whether the candidate is to be tried first.
        reason: The reason in words, where it is another than the bucket.
    """

    reason: str = ""
    assigned: Variant | None = None
    experiment: Experiment | None = None
    unit: Unit | None = None
    bucket: int | None = None
    use_candidate: bool = False

    @property
    def why(self) -> str:
        """The reason in words; put into words when it is asked for, which is off the caller's thread."""
        if self.reason or self.experiment is None or self.unit is None or self.bucket is None:
            return self.reason
        below = "below" if self.bucket < self.experiment.share else "not below"
        return f"{self.unit.kind} bucket {self.bucket} is {below} the share {self.experiment.share}"


def bucket_of(salt: str, unit: str) -> int:
    """Hash a unit into 0…9,999 for the experiment with this salt."""
    try:
        named = f"{salt}\0{unit}".encode()
    except UnicodeEncodeError:
        named = f"{salt}\0{unit}".encode("utf-8", "surrogatepass")
    number: int = _first_8(sha256(named).digest())[0]
    return number % BUCKETS


_first_8: Final = Struct(">Q").unpack_from


NO_CONFIG: Final = Route("no experiment is configured")
ROUTING_OFF: Final = Route("routing is switched off here")
ROUTE_FALSE: Final = Route("the call asked not to be routed")
KILLED: Final = Route("the config has routing switched off")
NO_MATCH: Final = Route("no experiment is about this dataset and model")
PROMPT_CHANGED: Final = "the prompt changed since the candidate was tuned: retrain"
"""The reason of a call whose prompt is none of its candidate's."""


def route(  # noqa: PLR0911 - a table of reasons, each with its own answer
    config: Config | None,
    dataset: str,
    model: str,
    units: Units,
    endpoint: str = "chat.completions",
    providers: Collection[str] = (),
    force: Variant | None = None,
    fingerprint: Callable[[Mapping[str, Any]], str | None] | None = None,
    body: Mapping[str, Any] = NO_BODY,
) -> Route:
    """Choose the variant of a call.

    Args:
        config: The live config, None when there is none.
        dataset: The call's dataset.
        model: The requested model.
        units: The names the call can be bucketed by.
        endpoint: The endpoint called; a candidate is tried on those that it speaks.
        providers: Names of the providers this client knows.
        force: A variant that overrules the hash, for development and tests.
        fingerprint: Gives that of the prompt of a request; asked only where the candidate is for some prompts alone.
            None does not look at the prompt.
        body: The request, for `fingerprint`.
    """
    if config is None or not config.experiments:
        return NO_CONFIG
    if not config.enabled:
        return KILLED
    experiment = config.experiment_for(dataset, model)
    if experiment is None:
        return NO_MATCH
    if experiment.state != "running":
        return Route(f"experiment {experiment.key} is {experiment.state}", experiment=experiment)
    candidate = experiment.candidate
    if endpoint not in candidate.endpoints:
        return Route(f"candidate {candidate.model} does not speak {endpoint}", experiment=experiment)
    if candidate.provider is not None and candidate.provider not in providers:
        return Route(f"provider {candidate.provider} is not known to this client", experiment=experiment)
    known = candidate.prompts
    if known is not None and fingerprint is not None and (fingerprint(body) or NO_PROMPT) not in known:
        # Outside of both arms: a call that the candidate may not get tells nothing about it.
        return Route(PROMPT_CHANGED, experiment=experiment)
    unit = units.pick(experiment.unit)
    bucket = bucket_of(experiment.salt, unit.id)
    if force is not None:
        return Route(f"forced to {force} here", force, experiment, unit, bucket, force == "candidate")
    if bucket < experiment.share:
        return made(Route, ("", "candidate", experiment, unit, bucket, True))
    return made(Route, ("", "baseline", experiment, unit, bucket, False))
