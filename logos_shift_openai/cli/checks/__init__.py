"""What can be wrong on a machine, each check with its cure; `docs/doctor.md` tells what each looks at.

A check looks and says, and changes nothing but that the spool is taken in as by every command. The order is that in
which things are come to: a config is read before the calls are held against it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from . import bodies, calls, clients, configs, guards, machine, models, rollouts, server, sources, store
from .finding import Finding, Machine, as_json

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

__all__ = ["Finding", "Machine", "as_json", "run_checks"]

CHECKS: Final[tuple[Callable[[Machine], Iterator[Finding]], ...]] = (
    machine.packages,
    sources.imports,
    machine.settings,
    machine.home,
    machine.homes,
    bodies.bodies,
    store.store,
    configs.config,
    server.server,
    calls.calls,
    rollouts.rollouts,
    store.spool,
    clients.clients,
    models.models,
    guards.guards,
)


def run_checks(on: Machine, checks: tuple[Callable[[Machine], Iterator[Finding]], ...] = CHECKS) -> list[Finding]:
    """Run every check; one that stumbles is a finding of its own."""
    findings: list[Finding] = []
    for check in checks:
        try:
            findings += check(on)
        except Exception as error:  # noqa: BLE001 - the doctor reports what it meets
            findings.append(Finding(check.__name__, "broken", f"cannot be checked: {type(error).__name__}: {error}"))
    return findings
