"""The tuners by name, made from this process's environment: addresses, keys and commands come from nowhere else.

So whoever may start a job over HTTP names a model and a provider, and can send no key to an address of his own and run
no program.
"""

from __future__ import annotations

import os
import shlex
from functools import partial
from typing import TYPE_CHECKING, Final

import openai

from .command import CommandTuner, run_hook
from .fireworks import FireworksTuner
from .openai_errors import translated
from .openai_jobs import OpenAITuner, ask_once
from .protocol import RefusedError
from .rest import Rest
from .together import TogetherTuner
from .untrained import UntrainedTuner

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from .protocol import Tuner

NAMES: Final = ("openai", "together", "fireworks", "command", "none")
_TOGETHER: Final = "https://api.together.xyz/v1"
_FIREWORKS: Final = "https://api.fireworks.ai"


def tuner_named(
    name: str,
    provider: str | None,
    home: Path,
    keep: Callable[[str, bytes], None],
    environ: Mapping[str, str] | None = None,
) -> Tuner:
    """Make a tuner.

    Args:
        name: One of `NAMES`.
        provider: Name of an endpoint as in LOGOS_SHIFT_PROVIDER_<NAME>_BASE_URL; None for the usual one.
        home: The home folder.
        keep: Keeps the file of an examples' index.
        environ: The environment.

    Raises:
        RefusedError: there is no such tuner, or the environment lacks what it needs.
    """
    given = os.environ if environ is None else environ
    hook = shlex.split(given.get("LOGOS_SHIFT_TUNER_DEPLOY", ""))
    deploy = partial(run_hook, hook) if hook else None
    if name == "openai":
        return OpenAITuner(sdk_client(provider, given), provider, deploy)
    if name == "together":
        rest = Rest(given.get("TOGETHER_BASE_URL") or _TOGETHER, _needed(given, "TOGETHER_API_KEY"), "Together")
        return TogetherTuner(rest, provider or "together", deploy)
    if name == "fireworks":
        rest = Rest(given.get("FIREWORKS_BASE_URL") or _FIREWORKS, _needed(given, "FIREWORKS_API_KEY"), "Fireworks")
        return FireworksTuner(rest, _needed(given, "FIREWORKS_ACCOUNT_ID"), provider or "fireworks", deploy)
    ask = partial(ask_if_known, given)
    if name == "command":
        return CommandTuner(shlex.split(given.get("LOGOS_SHIFT_TUNER_COMMAND", "")), home, ask)
    if name == "none":
        return UntrainedTuner(keep, ask)
    raise RefusedError(f"there is no tuner {name!r}; there are {', '.join(NAMES)}")


def sdk_client(provider: str | None, environ: Mapping[str, str]) -> openai.OpenAI:
    """Make the SDK's plain client for a provider, with its key and no other; trying again is the caller's.

    Raises:
        RefusedError: the environment does not know it.
    """
    if provider is None:
        key = _needed(environ, "OPENAI_API_KEY")
        return openai.OpenAI(api_key=key, base_url=environ.get("OPENAI_BASE_URL") or None, timeout=600.0, max_retries=0)
    prefix = f"LOGOS_SHIFT_PROVIDER_{provider.upper()}"
    url = _needed(environ, f"{prefix}_BASE_URL")
    client = openai.OpenAI(
        api_key=environ.get(f"{prefix}_API_KEY") or "none", base_url=url, timeout=600.0, max_retries=0
    )
    client.organization = client.project = None  # what the SDK read of the caller's own is not for this provider
    client._custom_headers = {}  # noqa: SLF001 - there is no argument that keeps OPENAI_CUSTOM_HEADERS away
    return client


def ask_if_known(environ: Mapping[str, str], model: str, provider: str | None) -> None:
    """Ask a model one word if this process knows where.

    Raises:
        TunerError: it does not answer.
    """
    try:
        client = sdk_client(provider, environ)
    except RefusedError:
        return  # only the clients know this provider; the experiment's fallback and breaker look after them
    with translated(f"asking {model}"), client:
        ask_once(client, model)


def _needed(environ: Mapping[str, str], name: str) -> str:
    found = environ.get(name, "").strip()
    if not found:
        raise RefusedError(f"{name} is not set", f"set {name} in the environment of the process that tunes")
    return found
