"""`/v1/rollouts`: begin a rollout, see where it stands and why, step in by hand, and read what was decided.

A rollout has an ETag, its revision. A step by hand with `If-Match` is taken only while it is that one: 412 otherwise.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Annotated, Any, Literal

import msgspec

from logos_shift_openai.core.policy import policy_from
from logos_shift_openai.core.rollout_by_hand import RolloutError
from logos_shift_openai.core.rollout_pace import FixedError
from logos_shift_openai.server.config_place import config_of
from logos_shift_openai.server.config_versions import StaleError
from logos_shift_openai.server.experiments import Plan
from logos_shift_openai.server.rollout_reading import NoRolloutError, find_rollout, history, list_rollouts
from logos_shift_openai.server.rollout_view import rollout_json
from logos_shift_openai.server.rollouts import begin_rollout, change_policy, change_rollout, check_policy

from .exchange import Answer, ApiError, Ask, Endpoint, to_json

if TYPE_CHECKING:
    from sqlalchemy import Connection

_Text = Annotated[str, msgspec.Meta(min_length=1, max_length=512)]


class Subject(msgspec.Struct, forbid_unknown_fields=True):
    """The experiment, where it is to be started with its rollout."""

    models: Annotated[list[_Text], msgspec.Meta(min_length=1)]
    candidate: _Text
    provider: _Text | None = None
    dataset: _Text = "*"
    unit: Literal["user", "conversation", "call"] = "user"


class Begin(msgspec.Struct, forbid_unknown_fields=True):
    """How the rollout decides, and the experiment if it is not there yet. See the page on policies.

    `force` says why it is to begin although the candidate has failed at the held-out questions.
    """

    policy: dict[str, Any] = {}
    plan: Subject | None = None
    force: _Text | None = None


class PolicyAsked(msgspec.Struct, forbid_unknown_fields=True):
    """The whole policy; what it leaves out has its default. While a rollout is under way only its pace may differ."""

    policy: dict[str, Any]


class RolloutShown(msgspec.Struct):
    """Where a rollout stands.

    `look` has the figures of the last look; `trail` the course of the proofs as natural logarithms of wealth: `harm`
    ends the rollout at `harm_needed`, `proof` allows the next share at the point's `needed`. Shares are in basis
    points, `started` and `updated` milliseconds since 1970, times within `trail` and `state` Unix seconds.
    `shadow` counts what was mirrored and compared. `sides` has both variants on every guarded metric, in its own unit,
    with intervals that hold at every look; see `core.side_by_side`.
    """

    experiment: str
    phase: Literal["shadow", "ramping", "paused", "held_back", "done", "rolled_back"]
    share: int
    ladder: list[int]
    why: str
    revision: str
    started: int
    updated: int
    look: dict[str, Any] | None
    sides: list[dict[str, Any]]
    harm_needed: float
    trail: list[dict[str, Any]]
    shadow: dict[str, Any] | None
    offer: str | None
    warnings: list[str]
    policy: dict[str, Any]
    state: dict[str, Any]


class RolloutList(msgspec.Struct):
    """All rollouts, by experiment; those that have ended, too."""

    rollouts: list[RolloutShown]


class RolloutsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which rollouts: that of an experiment, or all."""

    experiment: _Text | None = None


class DecisionsAsked(msgspec.Struct, forbid_unknown_fields=True):
    """Which decisions. `before` is the `next` of the page before; `evidence=false` leaves the rows of it out."""

    before: Annotated[int, msgspec.Meta(ge=1, le=2**53)] | None = None
    limit: Annotated[int, msgspec.Meta(ge=1, le=100)] = 20
    evidence: bool = True


class DecisionShown(msgspec.Struct):
    """A decision; `document` has the figures, the state after it and the rows of the evidence."""

    id: int
    experiment: str
    at: int
    action: Literal["hold", "ramp", "promote", "roll_back"]
    event: str | None
    why: str
    share: int
    config_version: int | None
    document: dict[str, Any]


class Decisions(msgspec.Struct):
    """Decisions, the latest first; `next` is the `before` of the next page, null after the last."""

    decisions: list[DecisionShown]
    next: int | None


async def list_all(ask: Ask) -> Answer:
    """List them."""
    wanted = ask.query(RolloutsAsked).experiment

    def page(connection: Connection) -> bytes:
        config = config_of(connection, ask.service.embedded)
        known = [one for one in list_rollouts(connection) if wanted in {None, one.experiment}]
        found = [RolloutShown(**rollout_json(connection, one, config)) for one in known]
        return to_json(RolloutList(found))

    return Answer(await ask.service.read(page))


async def show(ask: Ask) -> Answer:
    """Show one."""
    return await _shown(ask, ask.path["experiment"])


async def begin(ask: Ask) -> Answer:
    """Begin one."""
    key, service = ask.path["experiment"], ask.service
    asked = await ask.read_json(Begin)
    policy = policy_from(asked.policy, "policy")
    try:
        check_policy(policy)
    except RolloutError as error:
        raise ApiError(400, "bad_policy", str(error), where="policy") from None
    plan = None
    if asked.plan is not None:
        one = asked.plan
        plan = Plan(key, tuple(one.models), one.candidate, one.provider, one.dataset, unit=one.unit)
    await service.intake.change(
        lambda: begin_rollout(
            service.store,
            key,
            policy,
            service.now(),
            service.embedded,
            plan=plan,
            by_key=_by(ask),
            force=asked.force,
        )
    )
    await service.config.refresh()
    return await _shown(ask, key)


async def change(ask: Ask, what: str) -> Answer:
    """Step in by hand."""
    key, service, expected = ask.path["experiment"], ask.service, _expected(ask)
    try:
        await service.intake.change(
            lambda: change_rollout(
                service.store, key, what, service.now(), service.embedded, expected=expected, by_key=_by(ask)
            )
        )
    except StaleError as error:
        raise ApiError(412, "stale", str(error), where="If-Match") from None
    await service.config.refresh()
    return await _shown(ask, key)


async def put_policy(ask: Ask) -> Answer:
    """Give it another pace."""
    key, service, expected = ask.path["experiment"], ask.service, _expected(ask)
    policy = policy_from((await ask.read_json(PolicyAsked)).policy, "policy")
    try:
        await service.intake.change(
            lambda: change_policy(
                service.store, key, policy, service.now(), service.embedded, expected=expected, by_key=_by(ask)
            )
        )
    except StaleError as error:
        raise ApiError(412, "stale", str(error), where="If-Match") from None
    except FixedError as error:
        raise ApiError(409, "fixed", f"policy.{error}", where=f"policy.{error.where}") from None
    await service.config.refresh()
    return await _shown(ask, key)


async def list_decisions(ask: Ask) -> Answer:
    """List a page of decisions."""
    key, asked = ask.path["experiment"], ask.query(DecisionsAsked)

    def page(connection: Connection) -> bytes | None:
        if find_rollout(connection, key) is None:
            return None
        found = history(connection, key, asked.limit + 1, asked.before)
        more = len(found) > asked.limit
        if not asked.evidence:
            for one in found:
                one["document"].pop("evidence", None)
        told = [DecisionShown(**one) for one in found[: asked.limit]]
        return to_json(Decisions(told, told[-1].id if more else None))

    body = await ask.service.read(page)
    if body is None:
        raise NoRolloutError(f"there is no rollout of {key}")
    return Answer(body)


async def _shown(ask: Ask, key: str) -> Answer:
    def page(connection: Connection) -> tuple[str, bytes] | None:
        one = find_rollout(connection, key)
        if one is None:
            return None
        config = config_of(connection, ask.service.embedded)
        return one.revision, to_json(RolloutShown(**rollout_json(connection, one, config)))

    found = await ask.service.read(page)
    if found is None:
        raise NoRolloutError(f"there is no rollout of {key}")
    return Answer(found[1], 200, [(b"etag", f'"{found[0]}"'.encode())])


def _by(ask: Ask) -> str | None:
    return None if ask.caller is None else ask.caller.key_id


def _expected(ask: Ask) -> frozenset[str] | None:
    given = ask.header(b"if-match")
    if given is None or given.strip() == b"*":
        return None
    return frozenset(one.strip().strip('"') for one in given.decode("latin-1").split(","))


_ONE = "/v1/rollouts/{experiment}"
_SHOWN = (RolloutShown, "Where it stands; its revision is the ETag.")
_NONE = (None, "There is none.")
_CHANGED = {
    200: _SHOWN,
    404: _NONE,
    409: (None, "Not in its phase; the message says why."),
    412: (None, "It has changed: it is not the one of If-Match."),
}
_BY_HAND = (
    ("pause", "pause", "Decide nothing until it is resumed; the share stays, and its clocks stand still."),
    ("resume", "resume", "Go on after a pause, or after an alarm with a new count."),
    ("promote", "promote", "Give the candidate the calls without waiting for the proof."),
    ("rollback", "roll_back", "Send every call to the baseline and end the rollout."),
)
ENDPOINTS = (
    Endpoint(
        "GET",
        "/v1/rollouts",
        "read",
        list_all,
        "List the rollouts, or that of an experiment alone.",
        {200: (RolloutList, "All, or none.")},
        query=RolloutsAsked,
    ),
    Endpoint(
        "GET",
        _ONE,
        "read",
        show,
        "Show where a rollout stands, why, and the course of its proofs.",
        {200: _SHOWN, 404: _NONE},
    ),
    Endpoint(
        "POST",
        _ONE,
        "admin",
        begin,
        "Begin the rollout of an experiment, with the experiment if there is a plan of it.",
        {200: _SHOWN, 404: _NONE, 409: _CHANGED[409]},
        body=Begin,
    ),
    *(
        Endpoint("POST", f"{_ONE}/{verb}", "admin", partial(change, what=what), said, _CHANGED, headers=("If-Match",))
        for verb, what, said in _BY_HAND
    ),
    Endpoint(
        "PUT",
        f"{_ONE}/policy",
        "admin",
        put_policy,
        "Change the pace of a rollout that is under way: its clocks, its deadline, what it mirrors and holds back.",
        {**_CHANGED, 409: (None, "It has ended, or a part is what its proofs are about; `where` names it.")},
        body=PolicyAsked,
        headers=("If-Match",),
    ),
    Endpoint(
        "GET",
        f"{_ONE}/decisions",
        "read",
        list_decisions,
        "List what was decided, with the evidence, the latest first.",
        {200: (Decisions, "A page."), 404: _NONE},
        query=DecisionsAsked,
    ),
)
