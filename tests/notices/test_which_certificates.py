"""Which certificates are told to end: each threshold once."""

from dataclasses import replace
from datetime import timedelta

from results import writer
from values import NOW

from rotator.model import Certificate as Kind
from rotator.model import Standing, Warned
from rotator.planning.notices import expiring


def test_each_threshold_of_a_certificate_is_told_once() -> None:
    ends = NOW + timedelta(days=40)
    warned: dict[tuple[Kind, str, str], Warned] = {}
    told = []
    for hour in range(0, 41 * 24, 5):
        stands = [Standing("prod", "portal", ends), Standing("prod", "", ends)]
        for notice, warning in expiring(stands, warned.values(), writer(now=NOW + timedelta(hours=hour))):
            warned[warning.certificate, warning.site, warning.name] = warning
            told.append((notice.reason, warning.days))
    for reason in ("CertificateEnds", "ClientCertificateEnds"):
        assert [days for said, days in told if said == reason] == [30, 14, 7, 1]


def test_a_certificate_that_is_seen_late_is_told_once_and_a_new_one_anew() -> None:
    stands = Standing("prod", "", NOW + timedelta(days=5))
    ((notice, warning),) = expiring([stands], [], writer())
    assert (warning.days, notice.message.startswith("site prod: the client certificate ends in 5 days")) == (7, True)
    assert expiring([stands], [warning], writer()) == ()
    renewed = replace(stands, certificate_ends=NOW + timedelta(days=10))
    assert [after.days for _, after in expiring([renewed], [warning], writer())] == [14]
    today = replace(stands, certificate_ends=NOW + timedelta(hours=5))
    assert "the client certificate ends within a day, on " in expiring([today], [], writer())[0][0].message
    gone = replace(stands, certificate_ends=NOW - timedelta(days=1))
    assert "ended on" in expiring([gone], [], writer())[0][0].message
    assert expiring([replace(stands, certificate_ends=None)], [], writer()) == ()


def test_a_certificate_that_rotator_is_about_to_replace_is_told_only_when_that_is_late() -> None:
    due = Standing("prod", "portal", NOW + timedelta(days=29), next_due=NOW + timedelta(days=3))
    assert expiring([due], [], writer()) == ()
    assert len(expiring([replace(due, next_due=None)], [], writer())) == 1
    assert len(expiring([due], [], writer(now=NOW + timedelta(days=15)))) == 1
