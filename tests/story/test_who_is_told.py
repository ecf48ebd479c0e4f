"""Notices end to end: real hooks, a real TLS server, a sendmail that writes down what it is given, real kills."""

import json
import os
import signal
import subprocess
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Ended, Sandbox
from scripted import Scripted, answering


class Channels:
    """Every kind of channel, and what came out of each."""

    def __init__(self, sandbox: Sandbox) -> None:
        self.sandbox = sandbox
        self.folder = sandbox.folder / "channels"
        self.hooks = self.folder / "hooks.d"
        self.hooks.mkdir(parents=True)
        self.hook(
            "10-note", f"env | grep ^ROTATOR_ > {self.folder}/hook.$ROTATOR_NOTICE_ID; cat >> {self.folder}/stdin"
        )
        self.sendmail = self.folder / "sendmail"
        executable(self.sendmail, f'echo "$@" >> {self.folder}/arguments; cat > {self.folder}/mail.$$')
        self.posted: list[dict[str, object]] = []

    def hook(self, name: str, script: str) -> Path:
        return executable(self.hooks / name, script)

    def configure(self, *lines: str) -> None:
        with self.sandbox.config.open("a") as file:
            file.write("\n[notify]\n" + "\n".join(lines) + "\n")

    def script(self, handler: BaseHTTPRequestHandler) -> None:
        self.posted.append(json.loads(handler.rfile.read(int(handler.headers["Content-Length"]))))
        answering(204, b"")(handler)

    @property
    def hooked(self) -> list[dict[str, str]]:
        """The environment of each call of the first hook, in order."""
        files = sorted(self.folder.glob("hook.*"), key=lambda path: path.stat().st_mtime_ns)
        return [dict(line.split("=", 1) for line in file.read_text().splitlines()) for file in files]

    @property
    def mails(self) -> list[str]:
        return [
            path.read_text() for path in sorted(self.folder.glob("mail.*"), key=lambda path: path.stat().st_mtime_ns)
        ]

    def events(self) -> list[tuple[str, str]]:
        return [(told["ROTATOR_EVENT"], told["ROTATOR_REASON"]) for told in self.hooked]


def executable(path: Path, script: str) -> Path:
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)
    return path


@pytest.fixture
def hooked(portal: Sandbox) -> Channels:
    """A virtual proxy in place, and hooks."""
    channels = Channels(portal)
    channels.configure(f'hooks = "{channels.hooks}"')
    return channels


@pytest.fixture
def everywhere(portal: Sandbox) -> Iterator[Channels]:
    """The same with every kind of channel; the webhook's URL is a secret in a file."""
    channels = Channels(portal)
    with Scripted(channels.script, channels.folder) as server:
        url = channels.folder / "url"
        url.write_text(f"https://localhost:{server.port}/hook/SECRET-PATH?key=SECRET-QUERY\n")
        url.chmod(0o600)
        channels.configure(
            f'hooks = "{channels.hooks}"',
            f'webhook = "file:{url}"',
            f'webhook_ca = "{server.root}"',
            'mail = ["ops@example.com", "root"]',
            'mail_from = "rotator@example.com"',
            f'sendmail = "{channels.sendmail}"',
        )
        yield channels


def private_exponent(pem: bytes) -> int:
    """The private exponent."""
    from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
    from cryptography.hazmat.primitives.serialization import load_pem_private_key

    loaded = load_pem_private_key(pem, None)
    assert isinstance(loaded, RSAPrivateKey)
    return loaded.private_numbers().d


def waiting(sandbox: Sandbox) -> Ended:
    return sandbox.rotator("due", "--json")


def test_a_failure_and_its_end_reach_every_channel_once(everywhere: Channels) -> None:
    portal = everywhere.sandbox
    portal.fault("stuck=rim1.localhost")
    failed = portal.rotator("rotate", "--now", "--json")
    assert (failed.status, failed.result["reason"]) == (1, "Undone")
    (hook,) = everywhere.hooked
    assert (hook["ROTATOR_EVENT"], hook["ROTATOR_EXIT"], hook["ROTATOR_NAME"]) == ("failed", "1", "portal")
    assert hook["ROTATOR_MESSAGE"] == failed.result["message"]
    assert hook["ROTATOR_HINT"] == failed.result["hint"]
    assert (everywhere.folder / "stdin").read_text() == ""
    (post,) = everywhere.posted
    assert (post["id"], post["message"]) == (hook["ROTATOR_NOTICE_ID"], failed.result["message"])
    assert failed.result["message"] in str(post["text"])
    (mail,) = everywhere.mails
    assert "FAILED: portal Undone" in mail.replace("\n ", " ")
    assert "To: ops@example.com, root" in mail
    assert f"Message-ID: <{post['id']}@" in mail
    assert (everywhere.folder / "arguments").read_text() == "-i -f rotator@example.com -- ops@example.com root\n"

    assert portal.rotator("rotate", "--now").status == 1
    assert len(everywhere.posted) == 1  # the same failure again is no news
    portal.control("DELETE", "/faults")
    assert portal.rotator("rotate", "--now").status == 0
    assert [post["event"] for post in everywhere.posted] == ["failed", "recovered"]
    assert everywhere.posted[1]["since"] == everywhere.posted[0]["at"]
    assert len(everywhere.mails) == 2
    assert portal.rotator("rotate", "--now").status == 0
    assert len(everywhere.posted) == 2


def test_an_undo_that_failed_is_told_in_full_and_loudest(hooked: Channels) -> None:
    portal = hooked.sandbox
    portal.fault("stuck=rim1.localhost")
    portal.fault("status=403@qrs:PUT#2")
    failed = portal.rotator("rotate", "--now", "--json")
    assert (failed.status, failed.result["reason"]) == (4, "UndoFailed")
    (told,) = hooked.hooked
    assert (told["ROTATOR_REASON"], told["ROTATOR_EXIT"]) == ("UndoFailed", "4")
    assert told["ROTATOR_MESSAGE"] == failed.result["message"]
    assert told["ROTATOR_HINT"] == failed.result["hint"]
    assert "in the QMC under Virtual proxies" in told["ROTATOR_HINT"]
    portal.control("DELETE", "/faults")
    assert portal.rotator("recover").status == 0
    assert hooked.events() == [("failed", "UndoFailed"), ("recovered", hooked.hooked[1]["ROTATOR_REASON"])]


def test_a_hook_that_fails_is_exit_5_and_the_key_stays_promoted(hooked: Channels) -> None:
    portal = hooked.sandbox
    portal.fault("status=500@qrs:GET#1")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    bad = hooked.hook("20-bad", 'echo "pager: no route to host" >&2; exit 7')
    before = portal.rotator("keys", "list", "--json").result["fingerprint"]
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["outcome"]) == (5, "rotated")
    assert ended.result["fingerprint"] != before
    assert portal.rotator("keys", "list", "--json").result["fingerprint"] == ended.result["fingerprint"]
    (error,) = ended.json["errors"]
    assert error["reason"] == "NoticeFailed"
    assert "hook 20-bad ended with status 7: pager: no route to host" in error["message"]
    assert portal.rotator("verify").status == 5  # what waits is tried by every run
    # Only what did not take it is told again, under the same id.
    bad.unlink()
    hooked.hook("20-bad", f'echo "$ROTATOR_NOTICE_ID" >> {hooked.folder}/mended')
    shown = portal.rotator("notify", "--json")
    assert shown.status == 0, shown.out
    assert [(row["channel"], row["outcome"]) for row in shown.json["results"]] == [("hook 20-bad", "delivered")]
    assert (hooked.folder / "mended").read_text().split() == [hooked.hooked[-1]["ROTATOR_NOTICE_ID"]]
    assert [event for event, _ in hooked.events()] == ["failed", "recovered"]
    assert portal.rotator("notify").out == "no notice waits\n"


def test_of_a_failure_that_cannot_be_told_the_status_is_that_of_the_failure(hooked: Channels) -> None:
    portal = hooked.sandbox
    hooked.hook("00-bad", "exit 1")
    portal.fault("status=500@qrs:GET#1")
    ended = portal.rotator("rotate", "--now", "--json")
    assert ended.status == 1
    assert [error["reason"] for error in ended.json["errors"]] == ["ServerFault", "NoticeFailed"]


def test_a_run_that_is_killed_between_queue_and_delivery_delivers_later(hooked: Channels) -> None:
    portal = hooked.sandbox
    reached, gate = hooked.folder / "reached", hooked.folder / "gate"
    os.mkfifo(reached)
    os.mkfifo(gate)
    slow = hooked.hook("05-slow", f'echo "$ROTATOR_NOTICE_ID" > {reached}; read line < {gate}')
    portal.fault("status=500@qrs:GET#1")
    process = subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--now"),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    first = reached.read_text().strip()  # the hook runs: the notice is queued, and no channel took it yet
    process.send_signal(signal.SIGKILL)
    process.wait(30)
    with gate.open("w") as file:
        file.write("go\n")
    portal.control("DELETE", "/faults")
    assert hooked.hooked == []
    slow.write_text(f'#!/bin/sh\necho "$ROTATOR_NOTICE_ID" >> {hooked.folder}/again\n')
    assert portal.rotator("due").status == 0
    due = waiting(portal)
    assert due.result["reason"] == "Notice"
    assert portal.rotator("rotate").status == 0
    assert (hooked.folder / "again").read_text().split()[0] == first
    assert [told["ROTATOR_NOTICE_ID"] for told in hooked.hooked if told["ROTATOR_EVENT"] == "failed"] == [first]
    assert waiting(portal).status == 1


def test_due_waits_longer_after_each_attempt(hooked: Channels) -> None:
    portal = hooked.sandbox
    hooked.hook("00-bad", "exit 1")
    portal.fault("status=500@qrs:GET#1")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    ended = portal.rotator("due", "--json")  # tried a moment ago
    assert (ended.status, ended.result["reason"]) == (1, "NotYet")


def test_nothing_secret_is_in_what_is_sent(everywhere: Channels) -> None:
    portal = everywhere.sandbox
    key = portal.folder / "taken.pem"
    assert portal.rotator("rotate", "--prepare").status == 0
    exported = portal.rotator("keys", "export", "portal", "--private", "--stage", "pending", "--output", str(key))
    assert exported.status == 0
    portal.fault("stuck=rim1.localhost")
    failed = portal.rotator("-v", "rotate", "--now")
    assert failed.status == 1
    portal.control("DELETE", "/faults")
    everywhere.hook("99-bad", "exit 1")
    ended = portal.rotator("-v", "rotate", "--now")
    assert ended.status == 5
    sent = [json.dumps(everywhere.posted).encode()]
    sent += [path.read_bytes() for path in everywhere.folder.glob("*") if path.name.startswith(("hook.", "mail."))]
    assert len(sent) == 5
    exponent = private_exponent(key.read_bytes())
    needles = [line for line in key.read_bytes().splitlines() if len(line) > 40] + [
        str(exponent).encode(),
        f"{exponent:x}".encode(),
    ]
    everything = b"".join(sent)
    assert [needle for needle in [*needles, b"eyJ", b"PRIVATE", b"SECRET"] if needle in everything] == []
    # The webhook's URL is in no output and in no file of the state.
    said = (failed.out + failed.err + ended.out + ended.err).encode()
    state = b"".join(path.read_bytes() for path in (portal.folder / "state").rglob("*") if path.is_file())
    assert b"SECRET" not in said + state
    assert b"POST" in said


def test_a_test_notice_shows_what_every_channel_says(everywhere: Channels) -> None:
    portal = everywhere.sandbox
    shown = portal.rotator("notify", "--test", "--json")
    assert shown.status == 0, shown.err
    assert [(row["channel"], row["outcome"]) for row in shown.json["results"]] == [
        ("webhook", "delivered"),
        ("mail", "delivered"),
        ("hook 10-note", "delivered"),
    ]
    assert everywhere.hooked[0]["ROTATOR_EVENT"] == "test"
    everywhere.sendmail.unlink()
    everywhere.hook("30-off", "exit 0").chmod(0o644)
    executable(everywhere.hooks / "README", "exit 1")
    executable(everywhere.hooks / "10-note~", "exit 1")
    shown = portal.rotator("notify", "--test")
    assert shown.status == 5
    told = {line.split("  ")[0]: line for line in shown.out.splitlines()}
    assert "delivered" in told["webhook"]
    assert "No such file or directory" in told["mail"]
    assert "is not executable: chmod +x" in told["hook 30-off"]
    assert len(told) == 5


@pytest.mark.parametrize(
    ("what", "mode", "says"),
    [
        ("hook", 0o777, "can be changed by others (mode 0777)"),
        ("folder", 0o775, "can be changed by others (mode 0775)"),
    ],
)
def test_what_others_can_write_to_is_not_run(hooked: Channels, what: str, mode: int, says: str) -> None:
    path = hooked.hooks if what == "folder" else hooked.hooks / "10-note"
    path.chmod(mode)
    shown = hooked.sandbox.rotator("notify", "--test")
    assert (shown.status, hooked.hooked) == (5, [])
    assert says in shown.out
    assert f"chmod go-w {path}" in shown.out


def test_what_belongs_to_another_account_is_not_run(hooked: Channels) -> None:
    if os.geteuid() == 0:
        os.chown(hooked.hooks / "10-note", 65534, 65534)
    else:
        (hooked.hooks / "10-note").unlink()
        (hooked.hooks / "10-note").symlink_to("/proc/1/exe")
    shown = hooked.sandbox.rotator("notify", "--test")
    assert (shown.status, hooked.hooked) == (5, [])


def test_a_hook_that_never_ends_is_stopped_with_all_that_it_started(tmp_path: Path) -> None:
    from rotator import executables

    started = tmp_path / "pid"
    hook = executable(tmp_path / "hook", f"sleep 1000 & echo $! > {started}; wait")
    with pytest.raises(executables.Failed, match="did not end within 1 s and was stopped"):
        executables.run([hook], {}, limit=1)
    state = subprocess.run(("ps", "-o", "stat=", "-p", started.read_text().strip()), capture_output=True, text=True)
    assert state.stdout.strip()[:1] in ("", "Z")


@pytest.mark.parametrize(
    ("answer", "says"),
    [
        (answering(500, b"no"), "does not take it (status 500)"),
        (answering(302, b"", Location="https://localhost:1/"), "redirects, which is not followed (status 302)"),
        (answering(404, b"x" * 2_000_000), "more than"),
    ],
)
def test_a_webhook_that_does_not_take_it_is_told_without_its_url(portal: Sandbox, answer: object, says: str) -> None:
    channels = Channels(portal)
    with Scripted(answer, channels.folder) as server:  # type: ignore[arg-type]
        channels.configure(
            f'webhook = "https://localhost:{server.port}/SECRET?SECRET"', f'webhook_ca = "{server.root}"'
        )
        shown = portal.rotator("-v", "notify", "--test")
        assert len(server.seen) == 1
    assert shown.status == 5
    assert says in shown.out
    assert "SECRET" not in shown.out + shown.err


def test_a_webhook_with_a_broken_header_is_not_quoted_by_any_library(portal: Sandbox) -> None:
    def broken(handler: BaseHTTPRequestHandler) -> None:
        handler.wfile.write(b"HTTP/1.1 200 OK\r\nno header at all\r\nContent-Length: 0\r\n\r\n")
        handler.close_connection = True

    channels = Channels(portal)
    with Scripted(broken, channels.folder) as server:
        channels.configure(
            f'webhook = "https://localhost:{server.port}/SECRET?SECRET"', f'webhook_ca = "{server.root}"'
        )
        shown = portal.rotator("-v", "notify", "--test")
        assert len(server.seen) == 1
    assert "SECRET" not in shown.out + shown.err
    assert "Traceback" not in shown.err


def test_a_webhook_is_verified_against_its_own_authorities(portal: Sandbox) -> None:
    channels = Channels(portal)
    with Scripted(channels.script, channels.folder) as server:
        channels.configure(f'webhook = "https://localhost:{server.port}/x"', f'webhook_ca = "{portal.folder}/root.pem"')
        shown = portal.rotator("notify", "--test")
    assert (shown.status, channels.posted) == (5, [])
    assert "is not trusted" in shown.out


def test_a_configuration_that_is_wrong_is_told_by_what_can_be_read_of_it(hooked: Channels) -> None:
    portal = hooked.sandbox
    portal.configure(('window = ["any"]', 'window = ["never"]'))
    for _ in range(2):
        assert portal.rotator("rotate").status == 78
    (told,) = hooked.hooked
    assert (told["ROTATOR_REASON"], told["ROTATOR_NAME"]) == ("ConfigError", "")
    assert "proxy.portal.rotation.window" in told["ROTATOR_MESSAGE"]
    portal.configure(('window = ["never"]', 'window = ["any"]'))
    assert portal.rotator("rotate").status == 0
    assert hooked.events() == [("failed", "ConfigError"), ("recovered", "RunsAgain")]


def test_a_keyring_that_does_not_open_is_told(hooked: Channels) -> None:
    portal = hooked.sandbox
    (portal.folder / "master.key").rename(portal.folder / "elsewhere")
    assert portal.rotator("rotate").status == 1
    assert [told["ROTATOR_NAME"] for told in hooked.hooked] == ["portal"]
    assert "master.key" in hooked.hooked[0]["ROTATOR_MESSAGE"]
    (portal.folder / "elsewhere").rename(portal.folder / "master.key")
    assert portal.rotator("rotate").status == 0
    assert [event for event, _ in hooked.events()] == ["failed", "recovered"]


def test_a_state_directory_that_cannot_be_used_is_told_all_the_same(hooked: Channels) -> None:
    portal = hooked.sandbox
    (portal.folder / "state" / "journal.sqlite").write_bytes(b"no database at all, and long enough to be one" * 99)
    ended = portal.rotator("rotate", "--now")
    assert ended.status == 1
    assert [reason for _, reason in hooked.events()] == ["JournalError"]


def test_a_lock_that_is_held_is_not_told(hooked: Channels) -> None:
    from datetime import UTC, datetime

    from rotator.keystore import registry
    from rotator.state import lock

    portal = hooked.sandbox
    name = f"site {registry.address(portal.ready['qrs'])}"
    with lock.held(portal.folder / "state", name, "test", datetime.now(UTC)):
        assert portal.rotator("rotate", "--now").status == 3
    assert hooked.hooked == []


def test_a_client_certificate_near_its_end_makes_a_run_due_and_is_told_once(hooked: Channels) -> None:
    from datetime import UTC, datetime, timedelta

    from rotator.model import Standing
    from rotator.state import figures

    portal = hooked.sandbox
    assert portal.rotator("due").status == 1
    soon = datetime.now(UTC) + timedelta(days=10)
    figures.note(portal.folder / "state", [Standing("sandbox", "", certificate_ends=soon)])
    assert waiting(portal).result["reason"] == "Notice"
    assert portal.rotator("notify", "--unit", "other.service").status == 0
    assert [reason for _, reason in hooked.events()] == ["UnitFailed", "ClientCertificateEnds"]
    assert hooked.hooked[1]["ROTATOR_NOT_AFTER"] == f"{soon:%Y-%m-%dT%H:%M:%SZ}"
    assert portal.rotator("due").status == 1


def test_a_unit_that_died_without_a_word_is_told_and_one_that_spoke_is_not_told_twice(hooked: Channels) -> None:
    portal = hooked.sandbox
    unit = "rotator-rotate@portal.service"
    portal.fault("status=500@qrs:GET#1")
    assert portal.rotator("rotate", "--now", INVOCATION_ID="abc").status == 1
    portal.control("DELETE", "/faults")
    failed = {"MONITOR_INVOCATION_ID": "abc", "MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "1"}
    assert portal.rotator("notify", "--unit", unit, config=None, stdin="", **failed).status == 0
    assert [reason for _, reason in hooked.events()] == ["ServerFault"]
    killed = {"MONITOR_INVOCATION_ID": "def", "MONITOR_EXIT_CODE": "killed", "MONITOR_EXIT_STATUS": "KILL"}
    for _ in range(2):
        assert portal.rotator("notify", "--unit", unit, config=None, stdin="", **killed).status == 0
    told = hooked.hooked[1:]
    assert [(each["ROTATOR_REASON"], each["ROTATOR_NAME"], each["ROTATOR_SITE"]) for each in told] == [
        ("UnitFailed", "portal", "sandbox")
    ]
    assert "killed by the signal KILL" in told[0]["ROTATOR_MESSAGE"]
    assert portal.rotator("rotate").status == 0
    assert hooked.events()[-1][0] == "recovered"


def test_a_unit_that_failed_over_its_notice_alone_is_not_told(hooked: Channels) -> None:
    portal = hooked.sandbox
    portal.fault("status=500@qrs:GET#1")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    bad = hooked.hook("20-bad", "exit 1")
    assert portal.rotator("rotate", "--now", INVOCATION_ID="abc").status == 5
    bad.unlink()
    failed = {"MONITOR_INVOCATION_ID": "abc", "MONITOR_EXIT_CODE": "exited", "MONITOR_EXIT_STATUS": "5"}
    shown = portal.rotator("notify", "--unit", "rotator-rotate@portal.service", config=None, stdin="", **failed)
    assert shown.status == 0
    assert [event for event, _ in hooked.events()] == ["failed", "recovered"]


def test_what_the_daemon_saw_is_told_once_and_its_end_once(hooked: Channels) -> None:
    portal = hooked.sandbox
    look = ("notify", "--trouble=--the keyring is locked", "--hint=unlock it", "--reason=LookKeyStoreUnavailable")
    for _ in range(2):
        assert portal.rotator(*look, "--name=portal").status == 0
        assert portal.rotator(*look).status == 0
    told = [(each["ROTATOR_NAME"], each["ROTATOR_SITE"], each["ROTATOR_REASON"]) for each in hooked.hooked]
    assert told == [("portal", "sandbox", "LookKeyStoreUnavailable"), ("", "", "LookKeyStoreUnavailable")]
    assert hooked.hooked[0]["ROTATOR_MESSAGE"] == "--the keyring is locked"
    assert hooked.hooked[0]["ROTATOR_HINT"] == "unlock it"
    for _ in range(2):
        assert portal.rotator("notify", "--over", "--name=portal", "--name=gone").status == 0
    assert hooked.events()[2:] == [("recovered", "RunsAgain"), ("recovered", "LooksAgain")]
    assert [each["ROTATOR_NAME"] for each in hooked.hooked[2:]] == ["", "portal"]


def test_a_look_does_not_end_what_a_run_told_and_the_run_does(hooked: Channels) -> None:
    portal = hooked.sandbox
    assert portal.rotator("notify", "--trouble=killed", "--reason=RunFailed", "--name=portal").status == 0
    assert portal.rotator("notify", "--over", "--name=portal").status == 0
    assert hooked.events() == [("failed", "RunFailed")]
    assert portal.rotator("rotate").status == 0
    assert hooked.events()[1:] == [("recovered", "NotYet")]


def test_a_broken_state_directory_silences_neither_the_daemon_nor_a_unit(hooked: Channels) -> None:
    portal = hooked.sandbox
    (portal.folder / "state" / "journal.sqlite").write_bytes(b"no database at all, and long enough to be one" * 99)
    assert portal.rotator("notify", "--trouble=killed", "--name=portal").status == 0
    assert portal.rotator("notify", "--unit=rotator-rotate@portal.service").status == 0
    assert [reason for _, reason in hooked.events()] == ["RunFailed", "UnitFailed"]
    refused = portal.rotator("notify", "--over", "--name=portal")
    assert refused.status == 1, "so that it is tried again"
    assert "journal" in refused.err


def test_what_is_told_in_the_daemons_name_is_one_thing(hooked: Channels) -> None:
    portal = hooked.sandbox
    for wrong in (["--over", "--test"], ["--trouble=x", "--over"], ["--trouble=x", "--reason=Undone"]):
        assert portal.rotator("notify", *wrong).status == 2
    assert hooked.hooked == []
    shown = portal.rotator("notify", "--help").out
    assert "--trouble" not in shown
    assert "--unit" in shown


def test_without_a_channel_a_test_is_refused_and_a_delivery_is_nothing(portal: Sandbox) -> None:
    refused = portal.rotator("notify", "--test")
    assert refused.status == 78
    assert "no channel is configured" in refused.err
    assert portal.rotator("notify").status == 0
    assert portal.rotator("notify", "--unit", "x.service").status == 0
    assert portal.rotator("notify", "--test", "--unit", "x").status == 2


def test_a_jwt_certificate_near_its_end_is_told_by_an_ordinary_run(hooked: Channels) -> None:
    portal = hooked.sandbox
    portal.configure(
        ('every = "30d"', 'cron = "0 3 1 1 *"\ncertificate_days = 10'),
        ('consumers = "token"', 'consumers = "manual"'),
    )
    assert portal.rotator("rotate", "--now").status == 0
    portal.configure(("certificate_days = 10", "certificate_days = 11"))  # ends are told by the second
    assert portal.rotator("rotate", "--now").status == 0
    first, second = hooked.hooked
    assert first["ROTATOR_MESSAGE"].startswith("portal: the JWT certificate of the current key ends in 9 days")
    assert (first["ROTATOR_EVENT"], first["ROTATOR_REASON"]) == ("expiring", "CertificateEnds")
    assert second["ROTATOR_NOT_AFTER"] > first["ROTATOR_NOT_AFTER"]
    assert portal.rotator("rotate").status == 0
    assert len(hooked.hooked) == 2
