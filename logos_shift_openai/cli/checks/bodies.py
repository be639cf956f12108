"""Whether the S3-compatible store can be reached, where bodies are said to lie in one."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from logos_shift_openai.cli.session import BODIES_URL

from .finding import Finding, Machine

if TYPE_CHECKING:
    from collections.abc import Iterator


def bodies(on: Machine) -> Iterator[Finding]:
    """Ask the bucket; with an address that is none, the other checks go on as if it were not set."""
    from logos_shift_openai.server.store.bucket import bucket_at  # noqa: PLC0415
    from logos_shift_openai.server.store.database import StoreError  # noqa: PLC0415

    if on.place.bodies_url is None:
        return
    try:
        bucket = bucket_at(on.place.bodies_url)
    except StoreError as error:
        yield Finding("bodies", "broken", str(error), f"set {BODIES_URL} right, or unset it")
        on.place = replace(on.place, bodies_url=None)
        return
    try:
        bucket.check()
    except StoreError as error:
        cure = "make the bucket, and see to AWS_ENDPOINT_URL, the region and the keys; records wait in the spool"
        yield Finding("bodies", "broken", str(error), cure)
        return
    yield Finding("bodies", "ok", f"{bucket} answers")
