"""Whether the gate keeps a candidate from being rolled out.

Rule: only a report that failed does; a candidate that nobody judged is its owner's business. A gate of confidence
changes nothing: whoever is under the floor has nothing to be sure of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .keeping import latest_of

if TYPE_CHECKING:
    from sqlalchemy import Connection

    from logos_shift_openai.core.config import Candidate


def refused_by_gate(connection: Connection, candidate: Candidate) -> str | None:
    """Say why a candidate is not to be rolled out; None where nothing speaks against it.

    Args:
        connection: A reader's connection.
        candidate: The experiment's.
    """
    found = latest_of(connection, candidate.model, candidate.provider)
    if found is None or found.state != "failed":
        return None
    return (
        f"the candidate {candidate.model} has failed at the held-out questions of edition {found.edition}: "
        f"{found.said} (`logos-shift candidate report {found.id}`)"
    )
