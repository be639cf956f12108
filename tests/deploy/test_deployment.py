"""What `deploy/` says is real: its commands run, its options and files exist, the tools that read it take it."""

from __future__ import annotations

import configparser
import json
import os
import re
import shlex
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
DOCKERFILE = (DEPLOY / "Dockerfile").read_text(encoding="utf-8")
UNIT = (DEPLOY / "logos-shift.service").read_text(encoding="utf-8")
COMPOSE = yaml.safe_load((DEPLOY / "compose.yaml").read_text(encoding="utf-8"))
DOCS = (ROOT / "docs" / "self-hosting.md").read_text(encoding="utf-8")
SECTIONS = re.findall(r"^\[(\w+)\]$", UNIT, re.MULTILINE)
COMMAND = [sys.executable, "-m", "logos_shift_openai.cli"]


def instructions(name):
    """Give what stands behind an instruction of the Dockerfile, continued lines joined."""
    return re.findall(rf"^{name} (.*)$", DOCKERFILE.replace("\\\n", " "), re.MULTILINE)


def unit(name):
    return re.findall(rf"^{name}=(.*)$", UNIT, re.MULTILINE)


def container_command():
    return [*json.loads(instructions("ENTRYPOINT")[0]), *json.loads(instructions("CMD")[0])]


COMMANDS = {
    "Dockerfile": container_command(),
    "logos-shift.service": shlex.split(unit("ExecStart")[0]),
    **{name: ["logos-shift", *one["command"]] for name, one in COMPOSE["services"].items() if "command" in one},
}


@pytest.fixture
def started(home):
    """Start a command of `deploy/` as a process, on a free port; gives the process and its address."""
    running = []

    def start(command, **environ):
        options = [*command[1:], "--port", "0"]  # the last one counts
        process = subprocess.Popen(
            [*COMMAND, *options],
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            cwd=ROOT,
            env={**os.environ, "LOGOS_SHIFT_HOME": str(home), "PYTHONPATH": str(ROOT), **environ},
        )
        running.append(process)
        said = next(line for line in process.stdout if line.startswith("Serving"))
        return process, int(re.search(r":(\d+)$", said.strip())[1])

    yield start
    for process in running:
        process.kill()
        process.communicate()


@pytest.mark.parametrize("name", COMMANDS)
def test_each_command_serves_and_ends_in_time(started, name):
    """As written but for its port: its options are real, and SIGTERM ends it, which systemd and Docker send."""
    process, _ = started(COMMANDS[name])
    process.send_signal(signal.SIGTERM)
    assert process.wait(90) in {0, -signal.SIGTERM}


def test_the_health_check_of_the_container_tells_life_from_death(started):
    """The command of HEALTHCHECK, on the port that it got here."""
    process, port = started(COMMANDS["Dockerfile"])
    (check,) = instructions("HEALTHCHECK")
    command = json.loads(check[check.index("[") :])
    assert command[0] == "python"
    here = [sys.executable, *(part.replace(":8787/", f":{port}/") for part in command[1:])]
    assert subprocess.run(here, capture_output=True, check=False).returncode == 0
    process.terminate()
    process.wait(90)
    assert subprocess.run(here, capture_output=True, check=False).returncode != 0


def test_the_image_is_made_of_what_there_is():
    """What is copied exists and is not ignored, the extras exist, and nothing runs as root."""
    copied = [word for line in instructions("COPY") if "--from" not in line for word in line.split()[:-1]]
    ignored = (DEPLOY / "Dockerfile.dockerignore").read_text(encoding="utf-8").splitlines()
    for name in copied:
        assert (ROOT / name).exists()
        assert f"!{name.removeprefix('./')}" in ignored
    setup = configparser.RawConfigParser()
    setup.read(ROOT / "setup.cfg")
    (extras,) = re.findall(r'"\.\[(.+)\]"', DOCKERFILE)
    assert set(extras.split(",")) <= set(setup["options.extras_require"])
    assert instructions("USER") == ["10001"]
    assert "--uid 10001" in DOCKERFILE
    for name in ("license_files", "long_description"):
        for file in setup["metadata"][name].removeprefix("file:").split():
            assert file in copied


def test_compose_is_whole():
    """Every network, volume and service that is named is there, and the grace is longer than the shutdown takes."""
    services = COMPOSE["services"]
    for one in services.values():
        assert set(one["networks"]) <= set(COMPOSE["networks"])
        for volume in one.get("volumes", ()):
            assert volume.split(":")[0] in COMPOSE["volumes"]
        for name, how in one.get("depends_on", {}).items():
            assert how["condition"] == "service_healthy"
            assert "healthcheck" in services[name] or services[name]["image"] == services["server"]["image"]
    build = services["server"]["build"]
    assert (DEPLOY / build["context"] / build["dockerfile"]).samefile(DEPLOY / "Dockerfile")
    for name in ("server", "server-2"):
        command, grace = services[name]["command"], services[name]["stop_grace_period"]
        assert int(command[command.index("--shutdown-seconds") + 1]) < int(grace.removesuffix("s"))
        assert services[name]["ports"][0].endswith(":8787")
        (gateway,) = [one["gateway"] for one in COMPOSE["networks"]["logos"]["ipam"]["config"]]
        assert command[command.index("--trusted-proxy") + 1] == gateway
    ports = [services[name]["ports"][0] for name in ("server", "server-2")]
    assert len(set(ports)) == 2
    assert all(port.startswith("127.0.0.1:") for port in ports)


def test_variables_are_the_programs_own():
    """No file of `deploy/` sets a variable that nothing reads."""
    known = {
        name
        for path in (ROOT / "logos_shift_openai").rglob("*.py")
        for name in re.findall(r"LOGOS_SHIFT_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8"))
    }
    for path in DEPLOY.iterdir():
        named = set(re.findall(r"LOGOS_SHIFT_[A-Z_]+[A-Z]", path.read_text(encoding="utf-8")))
        assert named <= known, path


def test_the_unit_leaves_time_to_end_and_keeps_to_its_folder():
    """And is shut in as it says."""
    (command,) = unit("ExecStart")
    assert int(re.search(r"--shutdown-seconds (\d+)", command)[1]) < int(unit("TimeoutStopSec")[0])
    assert unit("StateDirectory") == ["logos-shift"]
    assert "LOGOS_SHIFT_HOME=/var/lib/logos-shift" in unit("Environment")
    assert (unit("DynamicUser"), unit("ProtectSystem"), unit("Restart")) == (["yes"], ["strict"], ["always"])
    assert SECTIONS == ["Unit", "Service", "Install"]


@pytest.mark.skipif(not shutil.which("systemd-analyze"), reason="systemd is not installed here")
def test_systemd_takes_the_unit(tmp_path):
    """Read by systemd itself, with a program that exists here; it has no complaint and finds it shut in."""
    path = tmp_path / "logos-shift.service"
    path.write_text(UNIT.replace("/opt/logos-shift/bin/logos-shift", sys.executable), encoding="utf-8")
    verified = subprocess.run(
        ["systemd-analyze", "verify", "--recursive-errors=no", str(path)], capture_output=True, text=True, check=False
    )
    assert (verified.returncode, [line for line in verified.stderr.splitlines() if path.name in line]) == (0, [])
    judged = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=20", str(path)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert judged.returncode == 0, judged.stdout + judged.stderr


@pytest.mark.skipif(not (shutil.which("nginx") and shutil.which("openssl")), reason="nginx is not installed here")
def test_nginx_takes_the_site(tmp_path):
    """With a certificate made for it."""
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    made = ["openssl", "req", "-x509", "-newkey", "ed25519", "-nodes", "-days", "1", "-subj", "/CN=logos.example.com"]
    subprocess.run([*made, "-keyout", key, "-out", certificate], check=True, capture_output=True)
    site = (DEPLOY / "nginx.conf").read_text(encoding="utf-8")
    site = re.sub(r"(ssl_certificate_key) .*;", rf"\1 {key};", site)
    site = re.sub(r"(ssl_certificate) .*;", rf"\1 {certificate};", site)
    whole = tmp_path / "nginx.conf"
    whole.write_text(f"pid {tmp_path}/pid;\nerror_log stderr;\nevents {{}}\nhttp {{\naccess_log off;\n{site}\n}}\n")
    tested = subprocess.run(["nginx", "-t", "-c", whole], capture_output=True, text=True, check=False)
    assert tested.returncode == 0, tested.stderr


@pytest.mark.skipif(not shutil.which("caddy"), reason="caddy is not installed here")
def test_caddy_takes_the_site(home):
    """Nothing is fetched or served for it."""
    command = ["caddy", "validate", "--adapter", "caddyfile", "--config", str(DEPLOY / "Caddyfile")]
    environ = {**os.environ, "HOME": str(home), "XDG_DATA_HOME": str(home), "XDG_CONFIG_HOME": str(home)}
    checked = subprocess.run(command, capture_output=True, text=True, check=False, env=environ)
    assert checked.returncode == 0, checked.stderr


def test_the_trial_of_the_image_fits_what_it_tries():
    """A shell takes it, and the check it asks is the one in the Dockerfile, found by the script's own pattern."""
    script = (DEPLOY / "try.sh").read_text(encoding="utf-8")
    assert os.access(DEPLOY / "try.sh", os.X_OK)
    assert subprocess.run(["sh", "-n", DEPLOY / "try.sh"], capture_output=True, check=False).returncode == 0
    (pattern,) = re.findall(r"health=\$\((sed -n '.*' deploy/Dockerfile)\)", script)
    found = subprocess.run(shlex.split(pattern), capture_output=True, text=True, check=True, cwd=ROOT).stdout.strip()
    (check,) = instructions("HEALTHCHECK")
    assert found == json.loads(check[check.index("[") :])[2]
    (user,) = re.findall(r'id -u\)" = (\d+)', script)
    assert user == instructions("USER")[0]
    options = shlex.split(re.search(r"logos-shift (serve .*?) >/dev/null", script)[1])
    assert options[0] == instructions("CMD")[0].split('"')[1]


def test_the_page_names_every_file():
    """`docs/self-hosting.md` leads to each of them."""
    for path in DEPLOY.iterdir():
        assert path.suffix == ".dockerignore" or f"(../deploy/{path.name})" in DOCS, path
