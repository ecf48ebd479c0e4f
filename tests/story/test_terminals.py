"""Terminals and standard streams: who is asked what, and what happens where there is nobody to read or to answer."""

import json
import os
import re
import subprocess

import pytest
from sampling import sample
from sandbox_process import ROTATOR, Sandbox
from terminal import typed


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
    ended = subprocess.run(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--now"),
        capture_output=True,
        text=True,
        timeout=60,
        env={**os.environ, "PYTHONIOENCODING": "latin-1"},
        stdin=subprocess.DEVNULL,
    )
    assert ended.returncode == 0, ended.stderr
    assert "as ROTATOR\\?" in ended.stdout


def closed(streams: str, *command: str) -> tuple[str, ...]:
    """A command that begins with standard streams closed, as `<&-` and `>&-` do it."""
    return ("sh", "-c", f'exec "$@" {streams}', "sh", *command)


@pytest.mark.parametrize("streams", ["<&-", ">&-", "2>&-", "<&- >&- 2>&-"])
def test_closed_streams_are_no_bug(portal: Sandbox, streams: str, pytestconfig: pytest.Config) -> None:
    """Each command has what those before it leave; a sample of them runs with streams closed."""
    shown = portal.rotator("keys", "list", "--json").result["fingerprint"]
    commands = (
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
    )
    drawn = sample(pytestconfig, f"closed streams {streams}", [" ".join(words[:2]) for words, _ in commands], 5)
    for arguments, status in commands:
        if " ".join(arguments[:2]) not in drawn:
            assert portal.rotator(*arguments).status == status, arguments
            continue
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
