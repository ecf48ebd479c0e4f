"""rotator token: what is signed, what is not, and by which key."""

import json

import pytest
from sandbox_process import Sandbox


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--user", "alice"), "must name directory and user"),
        (("--user", r"A\b\c"), "must name directory and user"),
        (("--user", r"A\b", "--ttl", "1h"), "longer than max_token_ttl"),
        (("--user", r"A\b", "--ttl", "soon"), "is not a duration"),
        (("--user", r"A\b", "--claim", "exp=1"), "cannot set 'exp'"),
        (("--user", r"A\b", "--claim", "userId=x"), "cannot set 'userId'"),
        (("--user", r"A\b", "--claim", "nonsense"), "NAME=VALUE"),
    ],
)
def test_tokens_that_are_not_signed(portal: Sandbox, arguments: tuple[str, ...], said: str) -> None:
    ended = portal.rotator("token", "portal", *arguments)
    assert (ended.status, ended.out) == (2, "")
    assert said in ended.err


def test_without_a_key_there_is_no_token_and_no_file(sandbox: Sandbox) -> None:
    ended = sandbox.rotator("token", "portal", "--user", r"A\b")
    assert (ended.status, "rotator create-proxy portal" in ended.err) == (1, True), ended.err
    ended = sandbox.rotator("keys", "export", "portal", "--stage", "pending", "--private")
    assert (ended.status, "--private --stage pending --output FILE" in ended.err) == (2, True), ended.err


def test_tokens_say_what_was_asked(portal: Sandbox) -> None:
    import jwt

    told = portal.rotator(
        "token",
        "portal",
        "--user",
        r"CORP\alice",
        "--ttl",
        "90s",
        "--claim",
        "groups=a",
        "--claim",
        "groups=b",
        "--claim",
        "team=x",
        "--json",
    ).result
    public = portal.rotator("keys", "export", "portal").out
    claims = jwt.decode(told["token"], public[: public.index("-----BEGIN CERT")], ["RS256"])
    assert (claims["userId"], claims["userDirectory"], claims["groups"], claims["team"]) == (
        "alice",
        "CORP",
        ["a", "b"],
        "x",
    )
    assert claims["exp"] - claims["iat"] == 90
    assert jwt.get_unverified_header(told["token"])["kid"] == told["kid"]
    assert told["url"] == f"{portal.ready['proxies'][0]['url']}/portal/"
    jwks = json.loads(portal.rotator("keys", "export", "portal", "--format", "jwks").out)
    assert jwks["keys"][0]["kid"] == told["kid"]
    jwt.decode(told["token"], jwt.PyJWKSet.from_dict(jwks).keys[0].key, ["RS256"])
