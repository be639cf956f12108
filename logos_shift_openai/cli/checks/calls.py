"""Whether the latest calls are what the live config is about: the experiment's models, users, a candidate that answers.

Looked at are the latest calls of the embedded store, no more than `_LATEST`, so that it costs the same however many
there are.
"""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING, Any, Final

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator

    from sqlalchemy import Connection

    from logos_shift_openai.core.config import Config, Experiment

_LATEST: Final = 500
_ENOUGH: Final = 20
_CANDIDATES: Final = 100
_FEW: Final = 5
_SHOWN: Final = 3
_FOLLOWED_MS: Final = 120_000
"""So long a client may need to come to a new config."""
_BREAKER: Final = "the breaker of the candidate is open"
_OURS: Final = re.compile(r"logos_shift_openai/([\w.]+)")

Call = dict[str, Any]


def calls(on: Machine) -> Iterator[Finding]:
    """Hold the latest calls against the running experiments."""
    from logos_shift_openai.server.calls import Filters, list_calls  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    if not on.place.store_path.exists():
        return
    try:
        store = on.place.open_store()
    except StoreError:
        return  # which has been said
    try:
        with store.reading() as connection:
            latest = [one for one in list_calls(connection, Filters(limit=_LATEST)) if one["requested_model"]]
            yield from _versions(latest)
            if on.config is not None:
                yield from _stale(on, on.config, latest)
                for one in on.config.experiments if on.config.enabled else ():
                    if one.state == "running":
                        yield from _experiment(connection, one, latest)
    finally:
        store.close()


def _versions(latest: list[Call]) -> Iterator[Finding]:
    from logos_shift_openai.version import __version__  # noqa: PLC0415

    found = {match[1] for one in latest if (match := _OURS.search(one["sdk"] or ""))}
    others = sorted(found - {__version__})
    if others:
        what = f"calls were recorded by logos_shift_openai {', '.join(others[:_SHOWN])}; here is {__version__}"
        yield Finding("versions", "warning", what, "pip install --upgrade logos_shift_openai, where those programs run")


def _stale(on: Machine, config: Config, latest: list[Call]) -> Iterator[Finding]:
    """Find calls that were made long after the config was changed, and by an older one."""
    if on.config_at is None:
        return
    made = [one for one in latest if one["at"] > on.config_at + _FOLLOWED_MS]
    older = [one for one in made if one["config_version"] is not None and one["config_version"] < config.version]
    if older and older[0] is made[0]:
        what = (
            f"the latest call went by version {older[0]['config_version']} of the config, which is at "
            f"version {config.version} by now"
        )
        cure = "look into the program's log for a config that is refused; LogosShift.stats() tells its age"
        yield Finding("stale", "warning", what, cure)


def _experiment(connection: Connection, one: Experiment, latest: list[Call]) -> Iterator[Finding]:
    name = f"experiment {one.key}"
    own = [call for call in latest if call["experiment"] == one.key]
    if not own and not any(one.concerns(call["dataset"], call["requested_model"]) for call in latest):
        if len(latest) >= _ENOUGH:
            yield _unmatched(one, latest)
        return
    drawn = [call["unit"]["kind"] for call in own if call["unit"]]
    short = sum(kind == "call" for kind in drawn)
    if one.unit != "call" and len(drawn) >= _ENOUGH and 2 * short > len(drawn):
        what = f"{name}: {short} of the latest {len(drawn)} calls name no {one.unit}, so that each is drawn by itself"
        field = "user_id" if one.unit == "user" else "conversation_id"
        yield Finding("units", "warning", what, f'with context({field}="..."): around the calls')
    yield from _candidate(connection, name, own)


def _unmatched(one: Experiment, latest: list[Call]) -> Finding:
    inside = [call for call in latest if one.dataset in {"*", call["dataset"]}]
    if inside:
        seen, wanted = Counter(call["requested_model"] for call in inside), "a model like " + ", ".join(one.match)
        cure = "match the models that are asked for: logos-shift experiment start --model"
    else:
        seen, wanted = Counter(call["dataset"] for call in latest), f"the dataset {one.dataset}"
        cure = f'name the dataset in the program: LogosShift(dataset="{one.dataset}")'
    there = ", ".join(name for name, _ in seen.most_common(_SHOWN))
    what = f"experiment {one.key}: none of the latest {len(latest)} calls is of {wanted}; they are of {there}"
    return Finding("match", "warning", what, cure)


def _candidate(connection: Connection, name: str, own: list[Call]) -> Iterator[Finding]:
    """Look how the candidate's latest calls ended."""
    given = [call for call in own if call["assigned"] == "candidate"][:_CANDIDATES]
    kept_away = sum(_BREAKER in (call["why"] or "") for call in given)
    failed = [call for call in given if call["served"] == "baseline" and _BREAKER not in (call["why"] or "")]
    fault = _fault(connection, failed)
    if kept_away >= _FEW:
        what = f"{name}: the breaker kept {kept_away} of the candidate's latest {len(given)} calls away from it{fault}"
        yield Finding("breaker", "broken", what, "mend what its provider answers; the breaker tries again by itself")
    elif len(failed) >= _FEW and _FEW * len(failed) >= len(given):
        what = f"{name}: the baseline answered {len(failed)} of the candidate's latest {len(given)} calls{fault}"
        yield Finding("fallbacks", "warning", what, f"logos-shift calls show {failed[0]['id']}")


def _fault(connection: Connection, failed: list[Call]) -> str:
    from logos_shift_openai.server.calls import find_call  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    for call in failed[:1]:
        try:
            found = find_call(connection, call["id"]) or {}
        except StoreError:  # its body lies in a bucket that is away, which has been said
            return ""
        for attempt in found.get("attempts") or ():
            if attempt["variant"] == "candidate" and attempt.get("error"):
                error = attempt["error"]
                said = " ".join(str(part) for part in (error.get("status"), error.get("message")) if part)
                return f"; the last fault: {error['type']} {said[:160]}".rstrip()
    return ""
