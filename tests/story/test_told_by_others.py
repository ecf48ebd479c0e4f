"""Notices of runs that could not speak for themselves: told by a unit of systemd, or by the daemon."""

from channels import Channels


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
