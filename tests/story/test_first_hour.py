"""What a stranger meets in the first hour: help, options in the wrong place, output that cannot be written, Ctrl-C."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox
from terminal import conversation, typed


def alone(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        (*ROTATOR, *arguments), capture_output=True, text=True, timeout=60, stdin=subprocess.DEVNULL, check=False
    )


@pytest.mark.parametrize("arguments", [(), ("keys",)])
def test_a_command_line_without_a_command_shows_the_help_on_standard_error(arguments: tuple[str, ...]) -> None:
    ended = alone(*arguments)
    assert (ended.returncode, ended.stdout) == (2, "")
    assert ended.stderr.startswith("Usage: rotator")
    assert ended.stderr == alone(*arguments, "--help").stdout


@pytest.mark.parametrize("arguments", [(), ("keys",)])
def test_no_summary_in_a_list_of_commands_is_cut(arguments: tuple[str, ...]) -> None:
    _, _, commands = alone(*arguments, "--help").stdout.partition("Commands:\n")
    assert commands
    assert [line for line in commands.splitlines() if not line.endswith(".") or line.endswith("...")] == []


@pytest.mark.parametrize(
    ("arguments", "status", "hint"),
    [
        (("status", "-v"), 2, "it goes before the command: rotator -v status"),
        (("status", "--config", "x"), 2, "it goes before the command: rotator --config FILE status"),
        (("keys", "list", "--verbose"), 2, "it goes before the command: rotator --verbose keys list"),
        (("due", "-v"), 255, "it goes before the command: rotator -v due"),
        (("--json", "status"), 2, "it goes after the command: rotator status --json"),
        (("--json", "keys", "list"), 2, "it goes after the command: rotator keys COMMAND --json"),
        (("status", "--bogus"), 2, "see rotator status --help"),
    ],
)
def test_an_option_in_the_wrong_place_is_told_its_place(arguments: tuple[str, ...], status: int, hint: str) -> None:
    ended = alone(*arguments)
    assert (ended.returncode, ended.stderr.splitlines()[1]) == (status, f"rotator: hint: {hint}")


def test_a_keyring_that_cannot_be_opened_is_not_said_to_be_empty(portal: Sandbox) -> None:
    portal.rotator("release", "portal")
    assert "has no keys" in portal.rotator("keys", "list").out
    (portal.folder / "master.key").unlink()
    ended = portal.rotator("keys", "list")
    assert (ended.status, ended.out) == (1, "")
    assert "rotator: error: " in ended.err


def test_a_file_that_is_no_private_key_is_named(portal: Sandbox) -> None:
    certificate = str(portal.folder / "root.pem")
    ended = portal.rotator("adopt", "portal", "--key", certificate)
    assert (ended.status, ended.out) == (1, "")
    assert ended.err.startswith(f"rotator: error: --key {certificate}: this is no private key")


LOST = "rotator: error: the result cannot be written to standard output: No space left on device"


def onto_a_full_disk(*arguments: str) -> tuple[int, list[str]]:
    with Path("/dev/full").open("w") as full:
        ended = subprocess.run((*ROTATOR, *arguments), stdout=full, stderr=subprocess.PIPE, text=True, check=False)
    return ended.returncode, ended.stderr.splitlines()


@pytest.mark.parametrize("arguments", [("--version",), ("--help",), ("keys", "--help"), ("status", "--help")])
def test_a_help_that_cannot_be_written_is_no_bug(arguments: tuple[str, ...]) -> None:
    status, said = onto_a_full_disk(*arguments)
    assert (status, said[0], len(said)) == (1, LOST, 2)


def test_a_result_that_cannot_be_written_leaves_the_exit_status_of_what_was_done(portal: Sandbox) -> None:
    config = ("--config", str(portal.config))
    before = portal.rotator("keys", "list", "--json").result["fingerprint"]
    status, said = onto_a_full_disk(*config, "rotate", "--now", "--yes")
    assert (status, said[0], len(said)) == (0, LOST, 2)
    assert "what was done is in rotator history" in said[1]
    assert portal.rotator("keys", "list", "--json").result["fingerprint"] != before
    for show in (["status"], ["status", "--json"], ["history"], ["keys", "list"], ["doctor"]):
        status, said = onto_a_full_disk(*config, *show)
        assert (status, said[0], len(said)) == (1, LOST, 2), show
    assert onto_a_full_disk(*config, "due")[0] == 255
    exported = portal.folder / "public.pem"
    assert onto_a_full_disk(*config, "keys", "export", "portal", "--output", str(exported))[0] == 0
    portal.rotator("release", "portal")
    status, said = onto_a_full_disk(*config, "rotate", "--now", "--json")
    assert (status, said[-2]) == (4, LOST)


def test_nobody_to_tell_anything_changes_no_exit_status(portal: Sandbox) -> None:
    command = (*ROTATOR, "--config", str(portal.config), "-v", "rotate", "--now")
    with Path("/dev/full").open("w") as full:
        assert subprocess.run(command, stdout=full, stderr=full, check=False).returncode == 0
    reader, writer = os.pipe()
    os.close(reader)
    with os.fdopen(writer, "w") as gone:
        ended = subprocess.run(command, stdout=gone, stderr=subprocess.PIPE, text=True, check=False)
    assert (ended.returncode, "error" in ended.stderr) == (0, False)


CTRL_C = "\x03"


def test_ctrl_c_at_a_question_says_that_nothing_was_changed(portal: Sandbox, tmp_path: Path) -> None:
    command = (*ROTATOR, "--config", str(portal.config))
    portal.forget_requests()
    for words, question in (
        (("rotate", "--now"), "Go on?"),
        (("release", "portal"), "Delete the private keys"),
        (("keys", "store-secret", "door"), "Secret for keyring:door"),
    ):
        status, said = typed((*command, *words), {question: CTRL_C})
        assert status == 130, said
        assert "rotator: interrupted; nothing was changed" in said
    status, said = typed((*ROTATOR, "--config", str(tmp_path / "new.toml"), "init"), {":": CTRL_C})
    assert status == 130, said
    assert "rotator: interrupted; nothing was changed" in said
    assert portal.requests("qrs", "PUT", "POST", "DELETE") == []
    assert portal.rotator("verify").status == 0


def test_ctrl_c_at_the_second_question_says_nothing_wrong_of_the_first(portal: Sandbox) -> None:
    text = portal.config.read_text()
    portal.config.write_text(
        f'{text}\n[proxy.second]\nsite = "sandbox"\nprefix = "second"\n[proxy.second.rotation]\nwindow = ["any"]\n'
    )
    assert portal.rotator("create-proxy", "--yes").status == 0
    command = (*ROTATOR, "--config", str(portal.config), "rotate", "--now", "--all")
    status, said = conversation(command, [("Go on?", "y"), ("Go on?", CTRL_C)])
    assert status == 130, said
    assert "whatever was begun is finished or undone by the next run" in said
    assert "nothing was changed" not in said
    asked = [line for line in said.splitlines() if "these proxies restart" in line]
    assert [line.split(": ")[1] for line in asked] == ["portal", "second"]


def test_ctrl_c_before_the_first_line_of_the_command_line_is_no_traceback() -> None:
    code = (
        "import sys\n"
        "class Struck:\n"
        "    def find_spec(self, name, *_):\n"
        "        if name == 'typer': raise KeyboardInterrupt\n"
        "sys.meta_path.insert(0, Struck())\n"
        "sys.argv = ['rotator', 'status']\n"
        "import rotator.__main__ as it\n"
        "it.main()\n"
    )
    ended = subprocess.run((sys.executable, "-c", code), capture_output=True, text=True, check=False)
    assert (ended.returncode, ended.stderr) == (130, "rotator: interrupted; nothing was changed\n")


@pytest.mark.parametrize(
    ("command", "asked", "unasked"),
    [(("rotate", "--now"), 3, 0), (("rollback", "portal"), 3, 0), (("adopt", "portal", "--replace-key"), 2, 2)],
)
def test_who_is_not_asked_has_consented_or_is_told_what_to_say(
    portal: Sandbox, command: tuple[str, ...], asked: int, unasked: int
) -> None:
    assert portal.rotator("rotate", "--now").status == 0
    answers = {"Go on?": "n", "Type the fingerprint": "wrong"}
    assert typed((*ROTATOR, "--config", str(portal.config), *command), answers)[0] == asked
    assert portal.rotator(*command).status == unasked


def test_create_proxy_wants_yes_where_nobody_can_be_asked(sandbox: Sandbox) -> None:
    ended = sandbox.rotator("create-proxy")
    assert ended.status == 2
    assert "say --yes" in ended.err
