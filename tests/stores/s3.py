"""A real S3-compatible server of the tests' own: moto's, as a process on the loopback, with a bucket for each test."""

from __future__ import annotations

import re
import subprocess
import sys
from secrets import token_hex
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from collections.abc import Iterator

ENVIRON = {
    "AWS_ACCESS_KEY_ID": "testing",
    "AWS_SECRET_ACCESS_KEY": "testing",
    "AWS_DEFAULT_REGION": "us-east-1",
    "AWS_EC2_METADATA_DISABLED": "true",
}


class S3:
    """A bucket on a server.

    Args:
        url: Of the server.
        bucket: Is made.
    """

    def __init__(self, url: str, bucket: str) -> None:
        import boto3

        self.bucket = bucket
        self.bodies_url = f"s3://{bucket}/ours"
        self.environ = {**ENVIRON, "AWS_ENDPOINT_URL": url}
        self.client: Any = boto3.client(
            "s3",
            endpoint_url=url,
            aws_access_key_id="testing",
            aws_secret_access_key="testing",
            region_name="us-east-1",
        )
        self.client.create_bucket(Bucket=bucket)

    def names(self, part: str = "") -> list[str]:
        """Name the objects that have a text in their names."""
        found = self.client.list_objects_v2(Bucket=self.bucket).get("Contents", ())
        return [one["Key"] for one in found if part in one["Key"]]


@pytest.fixture(scope="session")
def s3_url() -> Iterator[str]:
    """Run the server for as long as the tests run."""
    pytest.importorskip("moto.server")
    pytest.importorskip("boto3")
    process = subprocess.Popen(
        [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", "0"],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    said = next(line for line in process.stderr if "http://" in line)
    found = re.search(r"http://127\.0\.0\.1:\d+", said)
    assert found, said
    # What it goes on saying of each request must not fill the pipe.
    drain = subprocess.Popen(["cat"], stdin=process.stderr, stdout=subprocess.DEVNULL)
    process.stderr.close()
    yield found[0]
    process.terminate()
    process.wait(90)
    drain.wait(90)


@pytest.fixture
def s3(s3_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[S3]:
    """A bucket of this test's own; its server and keys stand in the environment."""
    one = S3(s3_url, f"records-{token_hex(6)}")
    for variable, value in one.environ.items():
        monkeypatch.setenv(variable, value)
    yield one
    one.client.close()
