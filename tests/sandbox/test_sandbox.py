"""rotator sandbox: its files, its folder, its options."""

import json
import shutil
import signal
import subprocess
import tomllib
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox

from rotator.sandbox.unknowns import QUESTIONS


def test_the_ready_line_and_the_files(sandbox: Sandbox) -> None:
    assert set(sandbox.ready) == {"qrs", "qps", "proxies", "dir", "config"}
    assert [proxy["host"] for proxy in sandbox.ready["proxies"]] == ["localhost", "rim1.localhost"]
    for name in ("root.pem", "client.pem", "client_key.pem", "client.pfx", "client.pfx.password", "rotator.toml"):
        assert (sandbox.folder / name).stat().st_mode & 0o777 == 0o600
    sandbox.process.send_signal(signal.SIGTERM)
    assert sandbox.process.wait(10) == 0


def test_a_folder_of_others_is_left_alone(folder: Path) -> None:
    mine = folder / "client.pem"
    mine.write_text("mine")
    folder.chmod(0o755)
    ended = subprocess.run((*ROTATOR, "sandbox", "--dir", str(folder)), capture_output=True, text=True, timeout=20)
    assert (ended.returncode, mine.read_text(), folder.stat().st_mode & 0o777) == (2, "mine", 0o755)


@pytest.mark.parametrize("same_ports", [True, False])
def test_a_second_one_in_its_folder_harms_the_running_one_in_nothing(sandbox: Sandbox, same_ports: bool) -> None:
    urls = [sandbox.ready["qrs"], sandbox.ready["qps"], sandbox.ready["proxies"][0]["url"]]
    ports = [url.rpartition(":")[2] if same_ports else "0" for url in urls]
    before = {path: path.read_bytes() for path in sandbox.folder.iterdir() if path.is_file()}
    asked = ("--qrs-port", ports[0], "--qps-port", ports[1], "--proxy-port", ports[2])
    ended = start(sandbox.folder, *asked)
    assert (ended.returncode, f"a sandbox runs in {sandbox.folder} already" in ended.stderr) == (2, True), ended.stderr
    assert {path: path.read_bytes() for path in sandbox.folder.iterdir() if path.is_file()} == before
    assert sandbox.rotator("create-proxy", "--yes").status == 0
    sandbox.process.kill()
    sandbox.process.wait(20)
    with Sandbox(sandbox.folder):
        pass


def test_a_folder_whose_configuration_no_command_would_take_is_told(folder: Path) -> None:
    shared = folder / "shared"
    shared.mkdir(mode=0o775)
    shared.chmod(0o775)
    ended = start(shared / "sandbox", "--release", "1999-01")
    assert (
        f"rotator: warning: no command will take {shared}/sandbox/rotator.toml: the configuration is not safe"
        in ended.stderr
    )
    assert f"rotator: hint: chmod go-w {shared}" in ended.stderr, ended.stderr
    assert "warning" not in start(folder / "sandbox", "--release", "1999-01").stderr


def test_a_folder_that_cannot_be_made_is_named(folder: Path) -> None:
    (folder / "file").touch()
    ended = start(folder / "file", "--qrs-port", "0")
    assert (ended.returncode, f"{folder}/file" in ended.stderr, "ports" in ended.stderr) == (2, True, False), (
        ended.stderr
    )


def test_ports_that_are_taken_are_named_with_all_that_free_ones_need(sandbox: Sandbox) -> None:
    port = sandbox.ready["qrs"].rpartition(":")[2]
    ended = start(sandbox.folder / "other", "--qrs-port", port, "--qps-port", "0", "--proxy-port", "0")
    assert ended.returncode == 2
    assert "address already in use" in ended.stderr
    assert "--qrs-port 0 --qps-port 0 --proxy-port 0" in ended.stderr


def test_a_fault_by_the_control_interface_as_the_docs_tell_it(sandbox: Sandbox) -> None:
    for body, status in ((b'"status=503@qrs#*"', 401), (b'"explode"', 400), (b'"status=503@qrs#*"', 200)):
        told = json.loads((sandbox.folder / "control.json").read_text())
        request = urllib.request.Request(f"http://127.0.0.1:{told['port']}/faults", data=body)
        if status != 401:
            request.add_header("Authorization", f"Bearer {told['token']}")
        try:
            with urllib.request.build_opener(urllib.request.ProxyHandler({})).open(request, timeout=20) as answer:
                assert answer.status == status
        except urllib.error.HTTPError as error:
            assert error.code == status, body
    ended = sandbox.rotator("create-proxy", "--plan")
    assert (ended.status, "503" in ended.err) == (1, True), ended.err


def test_a_fresh_site_knows_none_of_the_keys_that_are_left_in_its_folder(folder: Path) -> None:
    with Sandbox(folder) as first:
        assert first.rotator("create-proxy", "--yes").status == 0
    with Sandbox(folder) as second:
        assert second.rotator("status").status == 4
    shutil.rmtree(folder / "keys")
    shutil.rmtree(folder / "state")
    with Sandbox(folder) as third:
        assert third.rotator("create-proxy", "--yes").status == 0


def start(folder: Path, *arguments: str) -> "subprocess.CompletedProcess[str]":
    """A sandbox that is expected not to start."""
    command = (*ROTATOR, "sandbox", "--dir", str(folder), *arguments)
    return subprocess.run(command, capture_output=True, text=True, timeout=20)


def test_the_configuration_of_a_folder_with_an_odd_name_can_be_read(folder: Path) -> None:
    odd = folder / 'a"b\\c'
    with Sandbox(odd) as running:
        assert tomllib.loads(running.config.read_text())["site"]["sandbox"]["root_ca"] == f"{odd}/root.pem"


@pytest.mark.parametrize(
    "arguments",
    [
        ("--fault", "explode"),
        ("--fault", "slow"),
        ("--fault", "reset=1"),
        ("--unknown", "nosuch=1"),
        ("--unknown", "logout=never"),
        ("--release", "1999-01"),
        ("--restart-delay", "x"),
        ("--proxy-port", "x"),
        ("--proxy-port", "65536"),
    ],
)
def test_options_that_mean_nothing(folder: Path, arguments: tuple[str, ...]) -> None:
    ended = subprocess.run(
        (*ROTATOR, "sandbox", "--dir", str(folder), *arguments), capture_output=True, text=True, timeout=20
    )
    assert ended.returncode == 2
    assert ended.stderr.startswith(("rotator: error: " + arguments[0], "rotator: error: 65536 is no port")), (
        ended.stderr
    )
    assert "Traceback" not in ended.stderr


def test_the_help_lists_every_unknown_and_fault(folder: Path) -> None:
    said = subprocess.run((*ROTATOR, "sandbox", "--help"), capture_output=True, text=True, check=True).stdout
    for key, (_, answers) in QUESTIONS.items():
        assert f"{key}={'|'.join(answers)}" in " ".join(said.split())
    assert not list(folder.iterdir())
