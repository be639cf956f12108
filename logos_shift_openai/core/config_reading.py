"""The readers of a config document: JSON to the frozen values of `core.config`, strictly.

A document with a fault is refused as a whole, with the path of the fault; whoever holds the last good one keeps it.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, Final, get_args

from .config import (
    NO_PROMPT,
    SHARE_MAX,
    Candidate,
    Config,
    Examples,
    Experiment,
    Fallback,
    Params,
    Rates,
    RedactionRules,
    Sampling,
    Shadow,
    State,
    Unit,
)
from .gate import By, Gate
from .strict import (
    ConfigError,
    Fields,
    anything,
    flag,
    list_of,
    map_of,
    maybe,
    name,
    number_in,
    one_of,
    shown,
    text,
    whole,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["calls_per_minute", "config_from", "parse_config"]

_NOTHING: Final[Mapping[str, Any]] = {}
_ANY: Final[tuple[str, ...]] = ("*",)
_NONE: Final[tuple[str, ...]] = ()
_CONTENT: Final = re.compile(r"[0-9a-f]{64}")
_MOST_EXAMPLES: Final = 32
_FINGERPRINT: Final = re.compile(r"[0-9a-f]{12}")
_MIRRORED_MAX: Final = 6_000


def parse_config(document: bytes | str) -> Config:
    """Parse a config document.

    Args:
        document: JSON text.

    Raises:
        ConfigError: with the path of the first fault and what stands there.
    """
    try:
        data = json.loads(document)
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"the document is not JSON: {error}") from None
    return config_from(data)


def config_from(data: object) -> Config:
    """Make a config of a document that has been read from JSON already.

    Raises:
        ConfigError: as `parse_config`.
    """
    at = Fields("", data)
    config = Config(
        version=at.take("version", whole, required=True),
        enabled=at.take("enabled", flag, default=True),
        poll_seconds=at.take("poll_seconds", number_in(1, 86_400), default=30.0),
        sampling=at.take("sampling", _sampling, default=Sampling()),
        redaction=at.take("redaction", _redaction, default=RedactionRules()),
        experiments=at.take("experiments", list_of(_experiment), default=()),
    )
    at.done()
    seen: set[str] = set()
    for index, experiment in enumerate(config.experiments):
        if experiment.key in seen:
            raise ConfigError(f"experiments[{index}].key: {experiment.key!r} stands twice")
        seen.add(experiment.key)
    return config


def _share(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= SHARE_MAX:
        raise ConfigError(f"{path}: {shown(value)} is not in 0..{SHARE_MAX}, a whole number of basis points")
    return value


def _sampling(path: str, value: Any) -> Sampling:
    at = Fields(path, value)
    rate = number_in(0, 1)
    sampling = Sampling(
        rate=at.take("rate", rate, default=1.0),
        datasets=at.take("datasets", map_of(rate), default=_NOTHING),
        bodies=at.take("bodies", _rates, default=Rates()),
    )
    at.done()
    return sampling


def _rates(path: str, value: Any) -> Rates:
    at = Fields(path, value)
    rate = number_in(0, 1)
    rates = Rates(rate=at.take("rate", rate, default=1.0), datasets=at.take("datasets", map_of(rate), default=_NOTHING))
    at.done()
    return rates


def _pattern(path: str, value: Any) -> tuple[str, str]:
    at = Fields(path, value)
    title = at.take("name", name, required=True)
    regex = at.take("regex", text, required=True)
    at.done()
    try:
        re.compile(regex)
    except re.error as error:
        raise ConfigError(f"{path}.regex: {shown(regex)}: {error}") from None
    return title, regex


def _redaction(path: str, value: Any) -> RedactionRules:
    at = Fields(path, value)
    rules = RedactionRules(
        rules=at.take("rules", list_of(name), default=()),
        keys=at.take("keys", list_of(text), default=()),
        patterns=at.take("patterns", list_of(_pattern), default=()),
    )
    at.done()
    return rules


def _match(path: str, value: Any) -> tuple[str, ...]:
    at = Fields(path, value)
    if isinstance(at.left.get("model"), str):
        at.left["model"] = [at.left["model"]]
    models = at.take("model", list_of(text), default=_ANY)
    at.done()
    return models


def _params(path: str, value: Any) -> Params:
    at = Fields(path, value)
    params = Params(
        drop=at.take("drop", list_of(text), default=()),
        rename=at.take("rename", map_of(text), default={}),
        set=at.take("set", map_of(anything), default={}),
    )
    at.done()
    for fixed in ("model", "stream"):
        for part in ("drop", "rename", "set"):
            if fixed in getattr(params, part):
                raise ConfigError(f"{path}.{part}.{fixed}: {fixed!r} cannot be changed here")
    return params


def _prompt(path: str, value: Any) -> tuple[str, ...]:
    at = Fields(path, value)
    prune = at.take("prune", list_of(text), default=_NONE)
    at.done()
    return prune


def _examples(path: str, value: Any) -> Examples:
    at = Fields(path, value)
    examples = Examples(
        index=at.take("index", _content_name, required=True), count=at.take("count", _count, required=True)
    )
    at.done()
    return examples


def _content_name(path: str, value: Any) -> str:
    if not isinstance(value, str) or not _CONTENT.fullmatch(value):
        raise ConfigError(f"{path}: {shown(value)} is not a SHA-256 in 64 small hexadecimal digits")
    return value


def _count(path: str, value: Any) -> int:
    if not isinstance(value, int) or isinstance(value, bool) or not 1 <= value <= _MOST_EXAMPLES:
        raise ConfigError(f"{path}: {shown(value)} is not in 1..{_MOST_EXAMPLES}")
    return value


def _candidate(path: str, value: Any) -> Candidate:
    at = Fields(path, value)
    candidate = Candidate(
        model=at.take("model", text, required=True),
        provider=at.take("provider", maybe(name), default=None),
        params=at.take("params", _params, default=Params()),
        prune=at.take("prompt", _prompt, default=()),
        endpoints=at.take("endpoints", list_of(one_of("chat.completions", "responses")), default=("chat.completions",)),
        gate=at.take("gate", maybe(_gate), default=None),
        examples=at.take("examples", _examples, default=None),
        prompts=at.take("prompts", _prompts, default=None),
    )
    at.done()
    if candidate.examples is not None and candidate.endpoints != ("chat.completions",):
        raise ConfigError(f"{path}.examples: they go into chat completions alone, see {path}.endpoints")
    return candidate


def _prompts(path: str, value: Any) -> frozenset[str] | None:
    if value == "any":
        return None
    if not isinstance(value, list) or not value:
        raise ConfigError(f'{path}: {shown(value)} is neither "any" nor a list of fingerprints')
    for index, one in enumerate(value):
        if not isinstance(one, str) or not (one == NO_PROMPT or _FINGERPRINT.fullmatch(one)):
            raise ConfigError(
                f'{path}[{index}]: {shown(one)} is neither "{NO_PROMPT}" nor a fingerprint of 12 hexadecimal digits'
            )
    return frozenset(value)


def _gate(path: str, value: Any) -> Gate:
    at = Fields(path, value)
    gate = Gate(
        least=at.take("least", number_in(1e-12, 1), required=True),
        by=at.take("by", one_of(*get_args(By)), default="mean"),
    )
    at.done()
    return gate


def _fallback(path: str, value: Any) -> Fallback:
    at = Fields(path, value)
    fallback = Fallback(
        enabled=at.take("enabled", flag, default=True),
        timeout_seconds=at.take("timeout_seconds", maybe(number_in(0.001, 3_600)), default=None),
    )
    at.done()
    return fallback


def _shadow(path: str, value: Any) -> Shadow:
    at = Fields(path, value)
    shadow = Shadow(
        rate=at.take("rate", number_in(0, 1), default=1.0),
        calls_per_minute=at.take("calls_per_minute", calls_per_minute, default=Shadow().calls_per_minute),
    )
    at.done()
    return shadow


def calls_per_minute(path: str, value: Any) -> int:
    """Read how many calls a process may mirror in a minute."""
    number = whole(path, value)
    if not 1 <= number <= _MIRRORED_MAX:
        raise ConfigError(f"{path}: {number} is not in 1..{_MIRRORED_MAX} calls a minute")
    return number


def _experiment(path: str, value: Any) -> Experiment:
    at = Fields(path, value)
    experiment = Experiment(
        key=at.take("key", name, required=True),
        dataset=at.take("dataset", text, default="*"),
        match=at.take("match", _match, default=("*",)),
        candidate=at.take("candidate", _candidate, required=True),
        share=at.take("share", _share, required=True),
        unit=at.take("unit", one_of(*get_args(Unit)), default="user"),
        salt=at.take("salt", text, required=True),
        state=at.take("state", one_of(*get_args(State)), default="running"),
        fallback=at.take("fallback", _fallback, default=Fallback()),
        shadow=at.take("shadow", maybe(_shadow), default=None),
    )
    at.done()
    if experiment.candidate.provider is None and experiment.candidate.model in experiment.match:
        raise ConfigError(
            f"{path}.candidate.model: {experiment.candidate.model!r} is the baseline too, by {path}.match.model"
        )
    if experiment.shadow is not None and experiment.candidate.provider is None:
        raise ConfigError(f"{path}.shadow: only for a candidate with a provider; no caller's own client is used for it")
    return experiment
