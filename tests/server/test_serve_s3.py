"""`logos-shift serve` with its bodies and editions in a bucket: real processes on two machines' homes, and a real S3."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest
import requests
from s3 import S3
from served import NDJSON, ROOT, Lines, wait_until

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning")
TRAINS = "import json, os; print(json.dumps({'model': f\"m-{len(open(os.environ['LOGOS_SHIFT_EDITION_TRAIN']).readlines())}\"}))"


@pytest.fixture(params=["sqlite", "postgresql"])
def database(request):
    """The address of a PostgreSQL, None for the home folder's own file."""
    return request.getfixturevalue("postgres_url") if request.param == "postgresql" else None


def chats(count, seed=1):
    maker, made = Lines(seed), []
    for n in range(count):
        request = {"model": "m", "messages": [{"role": "user", "content": f"question {n} of {seed}"}]}
        response = {"choices": [{"finish_reason": "stop", "message": {"role": "assistant", "content": f"answer {n}"}}]}
        made.append(
            maker.call(dataset="d", request=json.dumps(request).encode(), response=json.dumps(response).encode())
        )
    return made


def command(home, *arguments, **environ):
    done = subprocess.run(
        [sys.executable, "-m", "logos_shift_openai.cli", "--home", str(home), *arguments],
        capture_output=True,
        check=False,
        text=True,
        cwd=ROOT,
        timeout=90,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
    )
    return done.returncode, done.stdout, done.stderr


def filled(process, home, environ):
    """Start a server that takes 40 calls in and cuts an edition; gives it, an admin's headers and the edition."""
    server = process("--no-background", home=home, environ=environ)
    admin = {"Authorization": f"Bearer {server.key}"}
    sent = requests.post(f"{server.url}/v1/records", data=b"".join(chats(40)), headers={**admin, **NDJSON}, timeout=90)
    assert (sent.status_code, sent.json()["new"]) == (200, 40)
    edition = requests.post(f"{server.url}/v1/editions", json={"dataset": "d"}, headers=admin, timeout=90).json()
    return server, admin, edition


def test_bodies_and_editions_lie_in_the_bucket(process, database, s3, tmp_path):
    """For the server that took them in, and for commands beside it."""
    address = {} if database is None else {"LOGOS_SHIFT_DATABASE_URL": database}
    environ = {**address, "LOGOS_SHIFT_BODIES_URL": s3.bodies_url}
    server, admin, edition = filled(process, tmp_path / "home", environ)
    assert len(s3.names("/bodies/")) == 1
    assert edition["place"].startswith(f"s3://{s3.bucket}/ours/")
    (listed,) = requests.get(f"{server.url}/v1/calls?limit=1&previews=true", headers=admin, timeout=90).json()["calls"]
    shown = requests.get(f"{server.url}/v1/calls/{listed['id']}", headers=admin, timeout=90).json()
    assert shown["response"]["choices"][0]["message"]["content"] == "answer 39"
    code, out, err = command(tmp_path / "home", "calls", "export", **environ)
    assert (code, err) == (0, "")
    said = {json.loads(line)["response"]["choices"][0]["message"]["content"] for line in out.splitlines()}
    assert said == {f"answer {n}" for n in range(40)}
    code, out, err = command(tmp_path / "home", "dataset", "export", edition["id"], "--part", "heldout", **environ)
    assert (code, len(out.splitlines())) == (0, edition["manifest"]["counts"]["heldout"]), err
    assert server.end()[0] == 0
    code, out, err = command(tmp_path / "home", "store", "vacuum", "--json", **environ)
    assert (code, json.loads(out)["repacked"]["moved"]) == (0, 0), err
    code, out, err = command(tmp_path / "home", "calls", "export", **{**environ, "LOGOS_SHIFT_BODIES_URL": ""})
    assert (code, err.count("\n")) == (1, 1)
    assert "set LOGOS_SHIFT_BODIES_URL to read it" in err


def test_another_machine_trains_on_an_edition_from_the_bucket(process, postgres_url, s3, tmp_path):
    """It is copied into that machine's home, and the script gets the paths of the copy."""
    environ = {"LOGOS_SHIFT_DATABASE_URL": postgres_url, "LOGOS_SHIFT_BODIES_URL": s3.bodies_url}
    first, admin, edition = filled(process, tmp_path / "first", environ)
    (tmp_path / "train.py").write_text(TRAINS)
    tuner = {"LOGOS_SHIFT_TUNER_COMMAND": f"{sys.executable} {tmp_path / 'train.py'}"}
    second = process(home=tmp_path / "second", environ={**environ, **tuner})
    asked = {"tuner": "command", "edition": edition["id"], "model": "base"}
    job = requests.post(f"{second.url}/v1/tuning", json=asked, headers=admin, timeout=90).json()

    def ended():
        found = requests.get(f"{second.url}/v1/tuning/{job['id']}", headers=admin, timeout=90).json()
        return found if found["state"] not in {"new", "starting", "running", "deploying"} else None

    wait_until(ended, 120)
    rows = edition["manifest"]["counts"]["train"]
    assert (ended()["state"], ended()["candidate"]) == ("succeeded", {"model": f"m-{rows}"})
    assert [path.name for path in (tmp_path / "second" / "edition-copies").iterdir()] == [edition["id"]]
    for home in ("first", "second"):
        assert not (tmp_path / home / "editions").exists()
    for server in (first, second):
        code, errors = server.end()
        assert (code, "Traceback" in errors) == (0, False)


def test_a_batch_is_not_accepted_while_the_bucket_is_away(process, s3, tmp_path):
    """503, so that its client keeps it; nothing of it is there, and afterwards it counts once."""
    url = s3.environ["AWS_ENDPOINT_URL"]
    server = process(environ={"LOGOS_SHIFT_BODIES_URL": s3.bodies_url, "AWS_MAX_ATTEMPTS": "1"})
    headers = {"Authorization": f"Bearer {server.key}", **NDJSON}
    name = s3.bucket
    s3.client.delete_bucket(Bucket=name)
    refused = requests.post(f"{server.url}/v1/records", data=b"".join(chats(3)), headers=headers, timeout=90)
    assert refused.status_code == 503
    assert int(refused.headers["Retry-After"]) > 0
    S3(url, name).client.close()
    taken = requests.post(f"{server.url}/v1/records", data=b"".join(chats(3)), headers=headers, timeout=90)
    assert taken.json()["new"] == 3
    assert server.end()[0] == 0


def test_a_server_does_not_start_without_its_bucket(s3, tmp_path):
    """One line says which, and what is wrong with it; the option beats the environment."""
    code, _, err = command(
        tmp_path, "serve", "--bodies-url", "s3://not-there/x", "--port", "0", LOGOS_SHIFT_BODIES_URL=s3.bodies_url
    )
    assert (code, err.count("\n")) == (1, 1)
    assert "s3://not-there/x/" in err
    assert "NoSuchBucket" in err


def test_keys_are_written_down_as_used_at_the_end(process, tmp_path):
    """However short before it was: the last minute is not lost."""
    server = process()
    requests.get(f"{server.url}/v1/keys", headers={"Authorization": f"Bearer {server.key}"}, timeout=90)
    assert server.end()[0] == 0
    (key,) = json.loads(command(server.home, "keys", "list", "--json")[1])
    assert key["last_used"] >= key["created"]
