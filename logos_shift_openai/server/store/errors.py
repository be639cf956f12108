"""What a store raises: one line with the place and the reason, fit to be shown as it is."""

from __future__ import annotations


class StoreError(Exception):
    """The store cannot be opened, read or written; the message names it and says why."""


class StoreConflictError(StoreError):
    """Two writers stood in each other's way; nothing was written, and trying again is all there is to do."""


class StoreFullError(StoreError):
    """There is no room for what was to be written; nothing of it was."""
