"""How much each script does: all of it, the quick run, and as little as shows that the scripts work."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Size:
    """A run's size.

    Args:
        records: Sent over HTTP in each of the ingest rounds; as many again lie in the store that is weighed.
        requests: For the config, in each round; three rounds of ours and of the bare answer take turns.
        calls: That the evidence is read over, the fewest first.
        exported: Calls with feedback in the store that is exported.
    """

    records: int
    requests: int
    calls: tuple[int, ...]
    exported: int


SIZES = {
    "full": Size(20_000, 8_000, (10_000, 1_000_000, 10_000_000), 100_000),
    "quick": Size(4_000, 2_000, (10_000, 1_000_000), 20_000),
    "tiny": Size(400, 60, (1_000, 2_000), 100),
}
