"""Whether providers still have the models that experiments name; asked only with `--online`.

Each provider is asked for its list of models, with the key that the environment has for it, as the SDK would.
"""

from __future__ import annotations

from datetime import date, datetime, timezone
from typing import TYPE_CHECKING, Any, Final

from .asking import ask
from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

_OPENAI: Final = "https://api.openai.com/v1"
_OK: Final = 200
_SOON_DAYS: Final = 90
_WILD: Final = frozenset("*?[")


def models(on: Machine) -> Iterator[Finding]:
    """Ask the providers of the running experiments which models they have, and until when."""
    if not on.online or on.config is None:
        return
    wanted: dict[str | None, set[str]] = {}
    for one in on.config.experiments:
        if one.state == "running":
            wanted.setdefault(one.candidate.provider, set()).add(one.candidate.model)
            wanted.setdefault(None, set()).update(name for name in one.match if not _WILD & set(name))
    for provider, names in wanted.items():
        yield from _of(on, provider, sorted(names))


def _of(on: Machine, provider: str | None, names: list[str]) -> Iterator[Finding]:
    import requests  # noqa: PLC0415

    prefix = "OPENAI" if provider is None else f"LOGOS_SHIFT_PROVIDER_{provider.upper()}"
    url = on.said(f"{prefix}_BASE_URL") or (_OPENAI if provider is None else "")
    key = on.said(f"{prefix}_API_KEY")
    if not url or not names or (provider is None and not key):
        return  # which has been said
    url = url.rstrip("/")
    try:
        answer = ask(f"{url}/models", key)
        found = {one["id"]: one for one in answer.json()["data"]} if answer.status_code == _OK else None
    except (requests.RequestException, UnicodeError, ValueError, KeyError, TypeError) as error:
        yield Finding("models", "broken", f"{url} does not list its models ({type(error).__name__})", _cure(prefix))
        return
    if found is None:
        yield Finding("models", "broken", f"{url}/models answers {answer.status_code}", _cure(prefix))
        return
    today = datetime.fromtimestamp(on.now / 1000, tz=timezone.utc).date()
    faults = [one for name in names for one in _model(found, name, url, today)]
    yield from faults or [Finding("models", "ok", f"{url} has {', '.join(names)}")]


def _model(found: Mapping[str, Any], name: str, url: str, today: date) -> Iterator[Finding]:
    if name not in found:
        what = f"{url} does not list the model {name}"
        yield Finding("models", "warning", what, "check the name; calls of a model that is gone go to the baseline")
        return
    try:
        end = date.fromisoformat(found[name]["shutdown_date"])
    except (KeyError, TypeError, ValueError):
        return  # it says none
    if (end - today).days <= _SOON_DAYS:
        gone = end <= today
        what = f"the model {name} {'was' if gone else 'is'} switched off on {end.isoformat()} by {url}"
        cure = "tune its successor on the same dataset, or match another model"
        yield Finding("models", "broken" if gone else "warning", what, cure)


def _cure(prefix: str) -> str:
    return f"check {prefix}_BASE_URL and {prefix}_API_KEY"
