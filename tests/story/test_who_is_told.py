"""Notices end to end: a run fails or ends a failure, people are told, with real kills in between."""

import os
import signal
import subprocess

from channels import Channels
from sandbox_process import ROTATOR, Ended, Sandbox


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
    _, name = lock.of_site("sandbox", registry.address(portal.ready["qrs"]))
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
