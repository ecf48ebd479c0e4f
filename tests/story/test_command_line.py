"""Manners: results on standard output, the rest on standard error, one JSON document on failure too."""

import base64
import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox
from values import NOW

from rotator.keys import PrivateKey


def bare(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*ROTATOR, *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        stdin=subprocess.DEVNULL,
    )


def test_the_version_is_quick_and_alone() -> None:
    code = "import sys; sys.argv = ['rotator', '--version']; import rotator.__main__ as m; m.main(); print(len([n for n in sys.modules if n.startswith('rotator')]), 'typer' in sys.modules)"
    said = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout.split("\n")
    assert said[0].startswith("rotator 0.")
    assert said[1] == "3 False"


def test_due_imports_nothing_heavy(portal: Sandbox) -> None:
    code = (
        "import sys\nfrom rotator.cli.app import run\n"
        f"status = run(['--config', {str(portal.config)!r}, 'due'])\n"
        "heavy = {'requests', 'keyring', 'jwt', 'cryptography.x509', 'pydantic', 'aiohttp', 'rich', 'filelock'} & set(sys.modules)\n"
        "print(status, sorted(heavy))"
    )
    said = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=True).stdout
    assert said.splitlines()[-1] == "1 []"


@pytest.mark.parametrize(
    ("arguments", "status"),
    [
        (("bogus",), 2),
        (("rotate", "--bogus"), 2),
        (("token",), 2),
        (("due", "--bogus"), 255),
        (("status",), 78),
        (("--config", "due", "rotate"), 78),
        (("due",), 255),
        (("rotate", "--now"), 78),
    ],
)
def test_errors_have_their_form_and_status(arguments: tuple[str, ...], status: int) -> None:
    ended = bare(*arguments)
    assert ended.returncode == status
    assert ended.stdout == ""
    lines = ended.stderr.splitlines()
    assert lines[0].startswith("rotator: error: ")
    assert lines[1].startswith("rotator: hint: ")


def test_json_on_failure_too(tmp_path: Path) -> None:
    (tmp_path / "r.toml").write_text("[keyring]\nbackend = 'x'\n")
    ended = bare("--config", str(tmp_path / "r.toml"), "status", "--json")
    told = json.loads(ended.stdout)
    assert (ended.returncode, told["schema"], told["command"], told["exit"], told["results"]) == (
        78,
        1,
        "status",
        78,
        [],
    )
    assert len(told["errors"]) >= 3
    # The hint of all of them, as people read it beneath them.
    (hint,) = {error["hint"] for error in told["errors"]}
    assert f"rotator: hint: {hint}\n" in ended.stderr


def test_a_server_that_is_down_is_one_failed_result(portal: Sandbox) -> None:
    portal.process.terminate()
    portal.process.wait(10)
    ended = portal.rotator("status", "--json")
    assert (ended.status, ended.result["outcome"], ended.result["reason"]) == (1, "failed", "ServerUnreachable")
    assert portal.rotator("due").status == 1
    assert portal.rotator("rotate", "--now").status == 1
    assert portal.rotator("token", "portal", "--user", r"A\b").status == 0


def test_what_several_have_in_common_is_told_once_and_names_them(portal: Sandbox) -> None:
    portal.config.write_text(portal.config.read_text() + '[proxy.partner]\nsite = "sandbox"\nprefix = "partner"\n')
    missing = portal.rotator("status")
    assert missing.err.count("rotator: error: ") == 1
    assert missing.err.startswith("rotator: error: partner: there is no virtual proxy with the prefix 'partner' yet\n")
    portal.process.terminate()
    portal.process.wait(10)
    for command in ("status", "verify"):
        ended = portal.rotator(command, "--json")
        (error,) = ended.json["errors"]
        assert error["message"] == f"portal, partner: {ended.result['message']}"
        assert len(ended.json["results"]) == 2
        said = portal.rotator(command).err
        assert said == f"rotator: error: {error['message']}\nrotator: hint: {error['hint']}\n"
    assert portal.rotator("status", "partner").err.startswith("rotator: error: 127.0.0.1:")


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("keys", "export", "portal", "--private", "--format", "jwks"), "--format is for the public side"),
        (("keys", "export", "portal", "--private", "--format", "pem"), "--format is for the public side"),
        (("keys", "master-key", "--scope", "user"), "--scope belongs to --dpapi"),
        (("keys", "master-key", "--scope", "machine"), "--scope belongs to --dpapi"),
    ],
)
def test_a_flag_that_would_be_ignored_is_a_mistake(portal: Sandbox, arguments: tuple[str, ...], said: str) -> None:
    ended = portal.rotator(*arguments, "--output", str(portal.folder / "new"))
    assert (ended.status, said in ended.err) == (2, True), ended.err
    assert not (portal.folder / "new").exists()


def test_json_results_have_the_agreed_keys(portal: Sandbox) -> None:
    told = portal.rotator("verify", "--json").json
    assert set(told) == {"schema", "command", "exit", "results", "errors"}
    result = told["results"][0]
    assert {"site", "name", "proxy_id", "outcome", "reason", "kid", "fingerprint", "proxies"} <= set(result)
    assert len(result["fingerprint"]) == 64
    assert {check["result"] for check in result["proxies"]} == {"passed"}
    assert {check["check"] for check in result["proxies"]} == {"current", "stranger", "expired", "no-token"}


def test_what_a_library_thinks_of_a_certificate_is_not_told(tmp_path: Path) -> None:
    """Anything may be on the server; a serial number below zero is no matter of whoever runs rotator."""
    body = base64.b64decode("".join(PrivateKey.generate(2048).certificate("x", 10, NOW).splitlines()[1:-1]))
    serial = body.index(b"\xa0\x03\x02\x01\x02\x02") + 7
    odd = base64.b64encode(body[:serial] + b"\x80" + body[serial + 1 :]).decode("ascii")
    (tmp_path / "odd.pem").write_text(f"-----BEGIN CERTIFICATE-----\n{odd}\n-----END CERTIFICATE-----\n")
    code = (
        "import pathlib, sys; from rotator.cli.app import run; from rotator.keys import inspect_certificate\n"
        "run(['--version']); print(inspect_certificate(pathlib.Path(sys.argv[1]).read_text()).fingerprint)\n"
    )
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONWARNINGS"}
    ended = subprocess.run(
        (sys.executable, "-c", code, str(tmp_path / "odd.pem")), capture_output=True, text=True, env=environment
    )
    assert (len(ended.stdout.splitlines()), ended.stderr) == (2, "")
