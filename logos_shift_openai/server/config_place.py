"""Where the config is that the rollouts of a store are about: in the store itself, or the file of a home folder.

`home` is that folder wherever it is asked for, and None where the config is in the store.
"""

from __future__ import annotations

import json
from contextlib import suppress
from typing import TYPE_CHECKING

from logos_shift_openai.core.config_reading import config_from
from logos_shift_openai.core.strict import ConfigError

from .config_versions import live_config, live_version
from .experiments import Document, ExperimentError, config_path, read_config
from .rollout_guard import find

if TYPE_CHECKING:
    from pathlib import Path

    from sqlalchemy import Connection

    from logos_shift_openai.core.config import Config

    from .store.database import Store


def config_of(connection: Connection, home: Path | None) -> Config:
    """Read the config that the rollouts of a store are about.

    Raises:
        ConfigError: the file is broken.
    """
    return config_from(json.loads(live_config(connection).document)) if home is None else read_config(home)


def document_of(connection: Connection, home: Path | None) -> Document:
    """Read the document of that config, as `config_of` reads the config.

    Raises:
        ConfigError: the file is broken.
    """
    if home is None:
        found: Document = json.loads(live_config(connection).document)
        return found
    read_config(home)  # says what is wrong with it
    path = config_path(home)
    return json.loads(path.read_bytes()) if path.exists() else {"version": 1}


def embedded_home(store: Store, home: Path) -> Path | None:
    """Tell where the config of a home folder's store is: its own file until it was served, then the store itself."""
    with store.reading() as connection:
        return None if live_version(connection) else home


def dataset_of(connection: Connection, key: str, home: Path | None) -> str | None:
    """Give the dataset of an experiment; None where there is none, or its file cannot be read just now."""
    with suppress(ExperimentError, ConfigError):
        experiment = find(config_of(connection, home), key)
        return None if experiment is None else experiment.dataset
    return None
