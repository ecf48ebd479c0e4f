"""Whom a test login takes for the right user: letter by letter, whatever of the name may be shown."""

import json

import pytest

from rotator.model import LoginOutcome, User, Verdict
from rotator.qlik.login import judged
from rotator.qlik.transport import Answer


LONG = "0123456789abcdef" * 4


def named(directory: str, identity: str, user: User) -> LoginOutcome:
    """The verdict of a login that the server says is this user's."""
    body = json.dumps({"userDirectory": directory, "userId": identity}).encode()
    return judged(Answer("GET", "https://x/qps/user", 200, {}, {}, body), user)


@pytest.mark.parametrize("identity", ["probe", "probe@example.com", LONG, "a  b", "<probe>", "[x](y)"])
def test_the_right_user_is_taken_whatever_the_name_looks_like(identity: str) -> None:
    user = User("ROTATOR", identity)
    assert named("ROTATOR", identity, user).verdict is Verdict.ACCEPTED
    assert named("rotator", identity.upper(), user).verdict is Verdict.ACCEPTED
    other = named("ROTATOR", f"{identity}x", user)
    assert other.verdict is Verdict.INCONCLUSIVE
    assert other.detail.endswith(f"not as {user}: see the claims and test_user")


@pytest.mark.parametrize(
    ("directory", "identity", "user"),
    [
        ("<x>ROTATOR", "probe", User("ROTATOR", "probe")),
        ("ROTATOR", "  probe\n", User("ROTATOR", "probe")),
        ("ROTATOR", "probe(at)example.com", User("ROTATOR", "probe@example.com")),
        ("ROTATOR", LONG.replace("0", "1"), User("ROTATOR", LONG)),
        ("ROTATOR", "a?b", User("ROTATOR", "a<b")),
    ],
)
def test_a_user_who_is_shown_alike_is_another_one(directory: str, identity: str, user: User) -> None:
    outcome = named(directory, identity, user)
    assert outcome.verdict is Verdict.INCONCLUSIVE
    assert "(it differs in what is not shown), not as " in outcome.detail


def test_what_is_shown_of_a_user_is_quoted_as_all_that_a_server_says() -> None:
    assert named("A", "b@example.com", User("A", "b@example.com")).detail == r"as A\b(at)example.com"
    assert named("A", LONG, User("A", LONG)).detail == "as A\\…"
