"""The words of a notice: every field, in one printable line each."""

from dataclasses import replace
from datetime import timedelta
from functools import partial

from results import failure, writer
from values import NOW, key

from rotator.model import Certificate as Kind
from rotator.model import Notice, NoticeEvent, Standing, Warned
from rotator.planning import notices
from rotator.planning.notices import expiring, judge


notice = partial(Notice, id="id0", host="host", at=NOW)
"""The first that the writer of results.py writes."""
WARNED = Warned(Kind.CLIENT, "prod", "", NOW + timedelta(days=1, hours=5), 7)


def test_every_field_of_a_notice() -> None:
    judged = judge(replace(failure(), key=key()), (), writer(), attended=False)
    assert judged.notice == notice(
        event=NoticeEvent.FAILED,
        site="prod",
        name="portal",
        command="rotate",
        reason="ServerUnreachable",
        exit=1,
        message="it failed",
        hint="do this",
        fingerprint="a" * 64,
        since=NOW,
    )
    ends = NOW + timedelta(days=1, hours=5)
    gone = NOW - timedelta(days=365)
    (client, _), (jwt, _), (past, _) = expiring(
        [
            Standing("prod", "", ends),
            Standing("prod", "never", None),
            Standing("prod", "portal", ends),
            Standing("prod", "about to go", NOW + timedelta(days=29), next_due=ends),
            Standing("other", "", gone),
        ],
        [],
        writer("verify"),
    )
    assert client == notice(
        event=NoticeEvent.EXPIRING,
        site="prod",
        name="",
        command="verify",
        reason="ClientCertificateEnds",
        exit=None,
        message="site prod: the client certificate ends in 1 day, on 2026-11-25 17:00 UTC: rotator cannot reach QRS after that",
        hint="export a new one in the QMC under Certificates, put it in place of the old one, then run rotator status",
        fingerprint="",
        ends=ends,
    )
    assert jwt == replace(
        client,
        id="id1",
        name="portal",
        reason="CertificateEnds",
        message="portal: the JWT certificate of the current key ends in 1 day, on 2026-11-25 17:00 UTC",
        hint="give it a new key: rotator rotate portal --now (this ends the sessions)",
    )
    assert past.message.startswith("site other: the client certificate ended on 2025-11-24 12:00 UTC: rotator")
    (now, _) = expiring([Standing("prod", "", NOW)], [], writer())[0]
    assert "ended on" in now.message
    assert (
        expiring([Standing("prod", "", ends), Standing("prod", "portal", ends)], [WARNED], writer())[0][1].name
        == "portal"
    )


def test_a_test_notice() -> None:
    assert notices.test(writer("notify")) == notice(
        event=NoticeEvent.TEST,
        site="",
        name="",
        command="notify",
        reason="Test",
        exit=None,
        message="a test: notices of rotator on host arrive here",
        hint="there is nothing to do",
        fingerprint="",
    )


def test_the_longest_text_is_whole() -> None:
    assert notices.plain("x" * notices.LONGEST) == "x" * notices.LONGEST


def test_texts_are_one_printable_line_and_end() -> None:
    told = judge(replace(failure(), message="a\nb\x00c\x1b[31m" + "x" * 9000), (), writer(), attended=False).notice
    assert told is not None
    assert told.message.startswith("a b c [31mxxx")
    assert len(told.message) == notices.LONGEST + 1


def test_an_undo_that_failed_is_told_in_full() -> None:
    """Both causes, and what to do by hand."""
    long = "portal: the new key 0123456789ab failed its test login: " + "x" * 900 + "; and putting the old back failed"
    told = judge(replace(failure("UndoFailed", 4), message=long, hint="h" * 900), (), writer(), attended=False).notice
    assert told is not None
    assert (told.message, told.hint, told.exit) == (long, "h" * 900, 4)
