"""The error for each finding that stops a run: which key it names, and what it says to do."""

from datetime import timedelta

import pytest
from values import NOW, key, observed, ring

from rotator.errors import Drift, Refused
from rotator.model import Ring, VirtualProxy
from rotator.planning.drift import lost_key, problem, restored
from rotator.planning.recovery import Finding, Found, Way
from rotator.report.keys import key_rows


A, B = "a" * 12, "b" * 12


@pytest.mark.parametrize(
    ("found", "seen", "message"),
    [
        (ring(key("a")), observed("b"), f"portal: the private key of {B}, which the server shows, is not"),
        (ring(key("a")), observed(None), f"portal: the private key of {A}, the current one, is not"),
        (ring(), observed("b"), f"portal: the private key of {B}, which the server shows, is not"),
    ],
)
def test_a_lost_key_is_named(found: Ring, seen: VirtualProxy | None, message: str) -> None:
    error = lost_key("portal", found, seen)
    assert error.message.startswith(message)
    assert "rotator recover portal --replace-lost-key" in str(error.hint)


def test_a_lost_key_of_a_virtual_proxy_that_was_deleted_leaves_nothing_to_replace() -> None:
    error = lost_key("portal", ring(key("a")), None)
    assert error.message.startswith(f"portal: the private key of {A}, the current one, is not")
    assert "rotator release portal, then rotator create-proxy portal" in str(error.hint)


def test_nothing_at_all_is_refused_and_a_certificate_that_cannot_be_read_is_drift() -> None:
    nothing = Found(Finding.NOTHING, Way.NONE)
    refused = problem("portal", ring(), observed(None), nothing)
    assert isinstance(refused, Refused)
    assert refused.message == "portal: neither the keyring nor the virtual proxy has a key yet"
    garbage = problem("portal", ring(), observed(None, certificate="garbage"), nothing)
    assert isinstance(garbage, Drift)
    assert garbage.message.startswith("portal: the virtual proxy 'portal' holds an unreadable certificate")


def test_keys_are_told_newest_first() -> None:
    keys = ring(key("a", created=NOW - timedelta(days=1)), key("b", created=NOW), key("c", created=NOW - timedelta(2)))
    assert [str(row["fingerprint"])[0] for row in key_rows(keys)] == ["b", "a", "c"]


@pytest.mark.parametrize(("known", "said"), [(1, "changed its keys 1 time, but"), (2, "changed its keys 2 times, but")])
def test_an_older_copy_of_the_keyring_is_told_in_good_english(known: int, said: str) -> None:
    assert said in restored("portal", 0, known).message
