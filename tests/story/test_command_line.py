"""Manners: results on standard output, the rest on standard error, one JSON document on failure too, questions on a terminal."""

import base64
import json
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox
from terminal import typed
from values import NOW
from waiting import eventually

from rotator.keys import PrivateKey


def bare(*arguments: str, **environment: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*ROTATOR, *arguments),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, **environment},
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


def closed(streams: str, *command: str) -> tuple[str, ...]:
    """A command that begins with standard streams closed, as `<&-` and `>&-` do it."""
    return ("sh", "-c", f'exec "$@" {streams}', "sh", *command)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(portal: Sandbox, streams: str) -> None:
    shown = portal.rotator("keys", "list", "--json").result["fingerprint"]
    for arguments, status in (
        (("rotate", "--now"), 0),
        (("create-proxy",), 0),
        (("rollback", "portal"), 0),
        (("recover",), 0),
        (("status",), 0),
        (("-v", "verify", "--json"), 0),
        (("doctor",), 0),
        (("due",), 1),
        (("init",), 2),
        (("bogus",), 2),
        (("keys", "store-secret", "pfx"), 2),
        (("adopt", "portal", "--replace-key", "--yes"), 2),
        (("release", "portal"), 0),
        (("adopt", "portal", "--replace-key", "--fingerprint", shown), 0),
    ):
        ended = subprocess.run(
            closed(streams, *ROTATOR, "--config", str(portal.config), *arguments),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=60,
        )
        assert ended.returncode == status, (arguments, ended.stdout, ended.stderr)
        assert "bug" not in ended.stderr


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("adopt", "portal", "--key", "-"), "--key -: standard input is closed"),
        (("keys", "store-secret", "pfx", "--from", "-"), "--from -: standard input is closed"),
        (("keys", "master-key", "--output", "new.key", "--from", "-"), "--from -: standard input is closed"),
        (("--config-from-stdin", "due"), "--config-from-stdin: standard input is closed"),
    ],
)
def test_what_is_to_be_read_from_a_closed_standard_input(
    sandbox: Sandbox, arguments: tuple[str, ...], said: str
) -> None:
    ended = subprocess.run(
        closed("<&-", *ROTATOR, "--config", str(sandbox.config), *arguments), capture_output=True, text=True, timeout=60
    )
    error, hint = ended.stderr.splitlines()
    assert (error, hint[:15]) == (f"rotator: error: {said}", "rotator: hint: ")
    assert ended.returncode == (255 if "due" in arguments else 2)


@pytest.mark.parametrize("stream", [">&-", "2>&-"])
def test_on_a_terminal_nobody_is_asked_what_nobody_can_read(portal: Sandbox, stream: str) -> None:
    status, said = typed(closed(stream, *ROTATOR, "--config", str(portal.config), "create-proxy"), {"Go on?": "n"})
    assert (status, "Go on?" in said) == (0, False), said
    portal.configure(('consumers = "token"', 'consumers = "token"\nhost_allow_list = ["portal.example.com"]'))
    assert typed(closed(stream, *ROTATOR, "--config", str(portal.config), "create-proxy"), {"Go on?": "n"})[0] == 2


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


def test_a_person_is_shown_what_is_cut_and_asked(portal: Sandbox) -> None:
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "--now")
    status, said = typed(command, {"Go on?": "n"})
    assert status == 3
    assert "localhost (0 sessions)" in said
    status, said = typed(command, {"Go on?": "y"})
    assert status == 0, said
    assert "making a 2048-bit RSA key" in said
    status, said = typed((*command, "--yes", "--json"), {})
    assert status == 0
    assert json.loads(said)["exit"] == 0


def test_a_person_confirms_a_lost_key_by_its_fingerprint(portal: Sandbox) -> None:
    shown = portal.rotator("keys", "list", "--json").result["fingerprint"][:12]
    portal.rotator("release", "portal")
    command = (*ROTATOR, "--config", str(portal.config), "adopt", "portal", "--replace-key")
    assert typed(command, {"Type the fingerprint": "wrong"})[0] == 2
    status, said = typed(command, {"Type the fingerprint": shown, "Go on?": "y"})
    assert status == 0, said


def test_only_one_rotator_at_a_time(portal: Sandbox) -> None:
    portal.fault("slow=3@qrs:GET#1")
    first = subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--now"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )
    locks = portal.folder / "state" / "locks"
    eventually(
        "it holds the lock",
        lambda: (
            any(str(first.pid) in owner.read_text() for owner in locks.glob("site*.owner")) or first.poll() is not None
        ),
    )
    second = portal.rotator("rotate", "--now", "--json")
    assert (second.status, second.result["reason"]) == (3, "LockHeld")
    assert f"process {first.pid}" in second.err
    first.communicate(timeout=60)
    assert first.returncode == 0


def test_the_wrong_keyring_is_refused(portal: Sandbox) -> None:
    import shutil

    shutil.move(portal.folder / "keys", portal.folder / "other-keys")
    ended = portal.rotator("status", "--json")
    (error,) = ended.json["errors"]
    assert (ended.status, ended.json["exit"], error["reason"]) == (4, 4, "Drift")
    assert (error["message"], error["hint"]) == (ended.result["message"], ended.result["hint"])
    said = portal.rotator("status")
    assert (said.status, said.out.splitlines()[1].split()[0]) == (4, "portal")
    assert said.err == f"rotator: error: {error['message']}\nrotator: hint: {error['hint']}\n" == ended.err
    (portal.folder / "state" / "installation").write_text("0" * 32)
    shutil.rmtree(portal.folder / "keys")
    shutil.move(portal.folder / "other-keys", portal.folder / "keys")
    ended = portal.rotator("rotate", "--now")
    assert ended.status == 78
    assert "different installations" in ended.err


def test_a_lost_state_directory_loses_no_key(portal: Sandbox) -> None:
    import shutil

    shutil.rmtree(portal.folder / "state")
    assert portal.rotator("rotate", "--now").status == 0


def test_the_keyring_taken_away(portal: Sandbox) -> None:
    (portal.folder / "master.key").unlink()
    assert portal.rotator("due").status == 255
    ended = portal.rotator("rotate", "--now")
    assert ended.status == 1
    assert "master.key" in ended.err


@pytest.mark.parametrize("answer", [" ", ","])
def test_an_answer_that_names_nothing_does_not_mean_all(portal: Sandbox, answer: str) -> None:
    other = portal.config.read_text() + '\n[proxy.second]\nsite = "sandbox"\nprefix = "second"\n'
    portal.config.write_text(other)
    portal.forget_requests()
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "--now", "--yes")
    status, said = typed(command, {"Which (names, or all)": answer})
    assert (status, "no virtual proxy is chosen" in said) == (2, True), said
    assert portal.requests("qrs", "PUT") == []


def test_a_terminal_that_lacks_a_character_makes_no_failure_of_what_was_done(portal: Sandbox) -> None:
    text = re.sub(r"test_user = .*", r"test_user = 'ROTATOR\\ζ'", portal.config.read_text())
    portal.config.write_text(text)
    ended = bare("--config", str(portal.config), "rotate", "--now", PYTHONIOENCODING="latin-1")
    assert ended.returncode == 0, ended.stderr
    assert "as ROTATOR\\?" in ended.stdout


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
