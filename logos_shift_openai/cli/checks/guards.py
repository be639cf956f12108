"""Whether a model in use ends soon, or prompts are no longer those that a candidate was trained on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


def guards(on: Machine) -> Iterator[Finding]:
    """Say what is kept of models that end and prompts that have changed."""
    from logos_shift_openai.server.config_place import config_of, embedded_home  # noqa: PLC0415
    from logos_shift_openai.server.prompt_drift import drifts  # noqa: PLC0415
    from logos_shift_openai.server.retirement import retiring  # noqa: PLC0415

    if not on.place.store_path.exists():
        return
    store = on.place.open_store(create=False)
    try:
        home = embedded_home(store, on.place.home)
        with store.reading() as connection:
            config = config_of(connection, home)
            ending, changed = retiring(connection, config, on.now), drifts(connection, config, on.now)
    finally:
        store.close()
    for one in ending:
        yield Finding("models", "warning", one.words, "choose another model before that day, or train one anew")
    for drift in changed:
        if drift.much:
            yield Finding("prompts", "warning", drift.words, "cut an edition of today's calls and train anew")
