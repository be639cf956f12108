"""Whether the server that is set answers, takes the key, and keeps the same time."""

from __future__ import annotations

from email.utils import parsedate_to_datetime
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from logos_shift_openai.cli.output import age, now_ms

from .asking import ask
from .configs import judged
from .finding import Finding, Machine
from .rollouts import held

if TYPE_CHECKING:
    from collections.abc import Iterator

    from requests import Response

_OK, _UNAUTHORIZED, _FORBIDDEN = 200, 401, 403
_CLOCK_MS: Final = 60_000


def server(on: Machine) -> Iterator[Finding]:
    """Ask the server for the config, as a client does."""
    if not on.url:
        if on.said("LOGOS_SHIFT_API_KEY"):
            what = "LOGOS_SHIFT_API_KEY is set and LOGOS_SHIFT_URL is not: records stay on this machine"
            yield Finding("server", "warning", what, "set LOGOS_SHIFT_URL to the address of the server")
        else:
            yield Finding("server", "ok", "none is set: records stay on this machine")
        return
    import requests  # noqa: PLC0415 - only here it is needed

    key = on.said("LOGOS_SHIFT_API_KEY")
    try:
        answer = ask(f"{on.url}/v1/config", key)
    except (requests.RequestException, UnicodeError) as error:
        what = f"{on.url} does not answer ({type(error).__name__}); records wait in the spool{_kept(on)}"
        yield Finding("server", "broken", what, "start the server, or set LOGOS_SHIFT_URL right")
        return
    yield from _clock(answer)
    if answer.status_code == _UNAUTHORIZED:
        what = f"{on.url} does not accept the key (401)"
        yield Finding("server", "broken", what, "set LOGOS_SHIFT_API_KEY to a key of that server")
    elif answer.status_code == _FORBIDDEN:
        what = f"{on.url} knows the key, but it may not write records (403)"
        cure = "set LOGOS_SHIFT_API_KEY to an ingest key: logos-shift keys create ingest, on the server"
        yield Finding("server", "broken", what, cure)
    elif answer.status_code != _OK:
        what = f"{on.url}/v1/config answers {answer.status_code}"
        yield Finding("server", "broken", what, "check that LOGOS_SHIFT_URL is the address of a Logos server")
    else:
        yield Finding("server", "ok", f"{on.url} answers")
        if not on.said("LOGOS_SHIFT_CONFIG"):
            yield from judged(on, answer.content, f"{on.url}/v1/config")
            yield from _rollouts(on, key)


def _rollouts(on: Machine, key: str) -> Iterator[Finding]:
    """Say which rollouts wait, where the key may read them."""
    import requests  # noqa: PLC0415

    try:
        answer = ask(f"{on.url}/v1/rollouts", key)
        found = answer.json()["rollouts"] if answer.status_code == _OK else []
        for one in found:
            yield from held(one)
    except (requests.RequestException, ValueError, KeyError, TypeError):
        return  # the config has told what is wrong with the server, if anything is


def _clock(answer: Response) -> Iterator[Finding]:
    try:
        there = parsedate_to_datetime(answer.headers["Date"]).timestamp() * 1000
    except (KeyError, ValueError, TypeError):
        return
    off = round((now_ms() - there) / 1000)
    if abs(off) * 1000 > _CLOCK_MS:
        where = "ahead of" if off > 0 else "behind"
        what = f"the clock of this machine is {abs(off):,} s {where} the server's: times of its calls are wrong"
        yield Finding("clock", "warning", what, "let the machine keep its time: timedatectl set-ntp true")


def _kept(on: Machine) -> str:
    """Say which config programs that start now go by."""
    path = on.place.home / "config-cache" / f"{sha256(on.url.encode()).hexdigest()[:16]}.json"
    try:
        at = int(path.stat().st_mtime * 1000)
    except OSError:
        return ", and there is no config: every call goes to its baseline"
    return f", and the config is one of {age(at, on.now)} ago"
