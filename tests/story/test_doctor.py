"""rotator doctor: what is broken is told, and what does not depend on it is tried all the same."""

from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
from portal_user import login, token
from sandbox_process import Sandbox

from rotator.keys import PrivateKey


def rows(portal: Sandbox, *, status: int) -> list[dict[str, Any]]:
    ended = portal.rotator("doctor", "--json")
    assert ended.status == status, (ended.out, ended.err)
    found: list[dict[str, Any]] = ended.json["results"]
    return found


def by_check(found: list[dict[str, Any]], check: str) -> list[dict[str, Any]]:
    return [row for row in found if row["reason"] == check]


def test_each_row_names_its_site_its_virtual_proxy_and_its_host(portal: Sandbox) -> None:
    found = rows(portal, status=0)
    places = {(row["reason"], row["site"], row["name"], row.get("host")) for row in found}
    assert places >= {
        ("configuration", "", "", None),
        ("state", "", "", None),
        ("keyring", "", "", None),
        ("qrs", "sandbox", "", None),
        ("rights", "sandbox", "", None),
        ("clock", "sandbox", "", None),
        ("virtual-proxy", "sandbox", "portal", None),
        ("key", "sandbox", "portal", None),
        ("settings", "sandbox", "portal", None),
        ("proxy", "sandbox", "portal", "localhost"),
        ("proxy", "sandbox", "portal", "rim1.localhost"),
        ("clock", "sandbox", "portal", "rim1.localhost"),
    }
    assert "portal rim1.localhost" in portal.rotator("doctor").out


def garbage(portal: Sandbox) -> None:
    (portal.folder / "state" / "journal.sqlite").write_bytes(b"garbage")


def torn(portal: Sandbox) -> None:
    """Its first page is whole, so that it opens."""
    journal = portal.folder / "state" / "journal.sqlite"
    page = int.from_bytes(journal.read_bytes()[16:18])
    data = bytearray(journal.read_bytes())
    data[page : 3 * page] = bytes(255 - byte for byte in data[page : 3 * page])
    journal.write_bytes(data)


def no_locks(portal: Sandbox) -> None:
    locks = portal.folder / "state" / "locks"
    for file in locks.iterdir():
        file.unlink()
    locks.rmdir()
    locks.touch()


@pytest.mark.parametrize(
    ("damage", "said", "hint"),
    [
        (garbage, "is damaged: file is not a database", "it is history only: move it away"),
        (torn, "is damaged: ", "it is history only: move it away"),
        (no_locks, "is no folder that this account can write to", "path in [state]"),
    ],
)
def test_a_state_directory_that_stops_every_run_is_told(
    portal: Sandbox, damage: Callable[[Sandbox], None], said: str, hint: str
) -> None:
    damage(portal)
    found = rows(portal, status=1)
    (state,) = by_check(found, "state")
    assert (state["health"], said in state["message"], hint in state["hint"]) == ("failed", True, True), state
    assert {row["health"] for row in found if row is not state} == {"ok"}
    ended = portal.rotator("doctor")
    assert ended.err.startswith("rotator: error: state: "), ended.err
    assert f"\nrotator: hint: {state['hint']}\n" in ended.err, ended.err


def test_nothing_is_made_where_there_is_no_state_yet(sandbox: Sandbox) -> None:
    (state,) = by_check(rows(sandbox, status=1), "state")
    assert (state["health"], "nothing is recorded yet" in state["message"]) == ("ok", True), state
    assert not (sandbox.folder / "state").exists()


def test_without_a_keyring_what_needs_none_is_tried(portal: Sandbox) -> None:
    portal.configure(
        (f'cert = "{portal.folder}/client.pem"', f'pfx = "{portal.folder}/client.pfx"'),
        (f'key = "{portal.folder}/client_key.pem"', f'password = "file:{portal.folder}/client.pfx.password"'),
    )
    (portal.folder / "master.key").unlink()
    found = rows(portal, status=1)
    assert [row["health"] for row in by_check(found, "keyring")] == ["failed"]
    assert [row["health"] for row in by_check(found, "qrs")] == ["ok"]
    assert by_check(found, "rights")
    told = portal.rotator("doctor", "--json")
    (error,) = told.json["errors"]
    assert (error["reason"], error["message"][:9]) == ("keyring", "keyring: ")
    assert f"rotator: hint: {error['hint']}" in portal.rotator("doctor").err
    portal.configure((f"file:{portal.folder}/client.pfx.password", "keyring:pfx"))
    found = rows(portal, status=1)
    (qrs,) = by_check(found, "qrs")
    assert [row["health"] for row in by_check(found, "access")] == ["failed"]
    assert (qrs["health"], "nothing was asked without credentials" in qrs["message"]) == ("ok", True), qrs
    portal.configure((f'root_ca = "{portal.folder}/root.pem"', f'root_ca = "{portal.folder}/stranger.pem"'))
    (qrs,) = by_check(rows(portal, status=1), "qrs")
    assert (qrs["health"], "is not trusted by" in qrs["message"]) == ("failed", True), qrs


def test_a_password_that_is_not_to_be_had_is_named_by_its_key(portal: Sandbox) -> None:
    portal.configure(
        (f'cert = "{portal.folder}/client.pem"', f'pfx = "{portal.folder}/client.pfx"'),
        (f'key = "{portal.folder}/client_key.pem"', 'password = "file:/nowhere/pw"'),
    )
    (access,) = by_check(rows(portal, status=1), "access")
    assert access["message"].startswith("site.sandbox.certificate.password: file:/nowhere/pw: cannot be read: ")


def test_what_failed_of_one_virtual_proxy_is_an_error_that_names_it_once(portal: Sandbox) -> None:
    portal.configure(('prefix = "portal"', 'prefix = "nowhere"'))
    told = portal.rotator("doctor", "--json")
    failed = [row for row in told.json["results"] if row["health"] == "failed"]
    assert [row["reason"] for row in failed] == [error["reason"] for error in told.json["errors"]] != []
    (error,) = told.json["errors"]
    assert error["message"].startswith("virtual-proxy portal: "), error
    assert "portal: portal" not in error["message"], error


def edited(portal: Sandbox, **fields: object) -> None:
    entity = portal.virtual_proxy()
    portal.qrs("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", {**entity, **fields})
    portal.control("GET", "/idle")


def test_an_audience_that_the_configuration_does_not_name_is_in_the_tokens_once_it_was_seen(portal: Sandbox) -> None:
    edited(portal, jwtAudience="aud1")
    assert login(portal, token(portal))[0] == 401
    (claims,) = by_check(rows(portal, status=0), "claims")
    assert claims["health"] == "warning"
    assert 'demands the audience "aud1", and tokens of rotator have none: it refuses them' in claims["message"]
    assert portal.rotator("verify").status == 0
    assert login(portal, token(portal)) == (200, r"CORP\alice")
    (claims,) = by_check(rows(portal, status=0), "claims")
    said = 'a token carries: user id in "userId", user directory in "userDirectory", audience "aud1"'
    assert (claims["health"], claims["message"]) == ("ok", said)
    told = {"user_id": "userId", "user_directory": "userDirectory", "audience": "aud1", "mandatory": []}
    assert portal.rotator("status", "--json").result["claims"] == told


def test_what_the_server_demands_otherwise_is_told_with_the_way_out(portal: Sandbox) -> None:
    mandatory = [{"jwtAttribute": "team", "senseAttribute": "group", "isMandatory": True}]
    portal.configure(('user_id_claim = "userId"\n', ""))
    edited(portal, jwtAttributeUserId="uid", jwtAttributeMap=mandatory)
    (claims,) = by_check(rows(portal, status=1), "claims")
    assert 'takes the user id from "uid", and tokens of rotator have it in "userId"' in claims["message"]
    assert 'the server refuses tokens without the claim "team"' in claims["message"]
    assert claims["hint"].startswith(
        "name the right one in [proxy.portal], as user_id_claim, and run rotator create-proxy"
    )
    assert portal.rotator("status", "--json").result["claims"]["mandatory"] == ["team"]
    portal.configure(('prefix = "portal"', 'prefix = "portal"\nuser_id_claim = "uid"\ntest_claims = { team = "x" }'))
    assert portal.rotator("create-proxy", "--yes").status == 0
    assert [row["health"] for row in by_check(rows(portal, status=0), "claims")] == ["ok"]
    edited(portal, jwtAttributeUserId="<b>")
    (claims,) = by_check(rows(portal, status=1), "claims")
    assert "from one that cannot be shown here, and tokens of rotator have it" in claims["message"]
    assert portal.rotator("create-proxy", "--yes").status == 0
    assert [row["health"] for row in by_check(rows(portal, status=0), "claims")] == ["ok"]


def test_what_needs_a_person_ends_in_its_own_status_and_is_told_once(portal: Sandbox) -> None:
    stranger = PrivateKey.generate(2048)
    edited(portal, jwtPublicKeyCertificate=stranger.certificate("stranger", 30, datetime.now(UTC)))
    failed = [row for row in rows(portal, status=4) if row["health"] == "failed"]
    assert [row["reason"] for row in failed] == ["key"]
