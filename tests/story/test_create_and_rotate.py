"""The main job, end to end: real processes, real TLS, a sandbox in a process of its own."""

import json
from pathlib import Path

from portal_user import login, token
from sandbox_process import Sandbox


def test_create_log_in_rotate_and_the_old_token_is_refused(sandbox: Sandbox) -> None:
    assert sandbox.rotator("create-proxy", "--yes").status == 0
    old = token(sandbox)
    assert login(sandbox, old, 0) == login(sandbox, old, 1) == (200, r"CORP\alice")
    assert sandbox.rotator("rotate", "--now").status == 0
    for proxy in (0, 1):
        assert login(sandbox, old, proxy) == (401, "")
        assert login(sandbox, token(sandbox), proxy) == (200, r"CORP\alice")


def test_the_second_create_proxy_makes_no_write_request(portal: Sandbox) -> None:
    portal.forget_requests()
    ended = portal.rotator("create-proxy", "--yes", "--json")
    assert (ended.status, ended.result["outcome"], ended.result["plan"]) == (0, "unchanged", [])
    assert portal.requests("qrs", "POST", "PUT", "DELETE") == []


def test_plan_changes_nothing_anywhere(sandbox: Sandbox) -> None:
    ended = sandbox.rotator("create-proxy", "--plan", "--json")
    assert (ended.status, ended.result["outcome"]) == (0, "planned")
    fields = {row["field"]: row["to"] for row in ended.result["plan"]}
    assert fields["prefix"] == "portal"
    assert sandbox.requests("qrs", "POST", "PUT", "DELETE") == []
    assert json.loads(sandbox.rotator("keys", "list", "--json").out)["results"][0]["keys"] == []


def test_what_cuts_sessions_needs_a_yes(sandbox: Sandbox) -> None:
    ended = sandbox.rotator("create-proxy")
    assert ended.status == 2
    assert "--yes" in ended.err
    assert sandbox.requests("qrs", "POST", "PUT") == []


def test_dry_run_writes_nothing(portal: Sandbox) -> None:
    before = {path: path.read_bytes() for path in (portal.folder / "keys").iterdir() if path.is_file()}
    portal.forget_requests()
    ended = portal.rotator("rotate", "--now", "--dry-run", "--json")
    assert (ended.status, ended.result["outcome"]) == (0, "planned")
    assert [cut["host"] for cut in ended.result["cuts"]] == ["localhost", "rim1.localhost"]
    assert portal.requests("qrs", "POST", "PUT") == []
    assert {path: path.read_bytes() for path in (portal.folder / "keys").iterdir() if path.is_file()} == before


def test_prepare_stores_the_next_key_and_rotate_uses_it(portal: Sandbox) -> None:
    prepared = portal.rotator("rotate", "--prepare", "--json").result
    out = portal.folder / "next.pem"
    exported = portal.rotator("keys", "export", "portal", "--private", "--stage", "pending", "--output", str(out))
    assert exported.status == 0
    assert out.stat().st_mode & 0o777 == 0o600
    rotated = portal.rotator("rotate", "--now", "--json").result
    assert rotated["fingerprint"] == prepared["fingerprint"]


def test_several_virtual_proxies_one_failing_does_not_hurt_the_others(portal: Sandbox) -> None:
    portal.config.write_text(
        portal.config.read_text().replace(
            "[proxy.portal]", '[proxy.missing]\nsite = "sandbox"\nprefix = "missing"\n\n[proxy.portal]'
        )
    )
    listed = portal.rotator("rotate", "--now")
    assert listed.status == 2
    assert "missing, portal" in listed.err
    ended = portal.rotator("rotate", "--now", "--all", "--json")
    assert ended.status == 1
    assert {item["name"]: item["outcome"] for item in ended.json["results"]} == {
        "missing": "failed",
        "portal": "rotated",
    }


def test_the_test_user_may_be_a_mail_address(sandbox: Sandbox) -> None:
    sandbox.configure(("ROTATOR\\probe'", "ROTATOR\\probe@example.com'"))
    ended = sandbox.rotator("create-proxy", "--yes")
    assert ended.status == 0, ended.err
    assert sandbox.rotator("rotate", "--now").status == 0


def test_tables_can_be_renamed(portal: Sandbox) -> None:
    portal.configure(("[proxy.portal]", "[proxy.customers]"), ("[proxy.portal.rotation]", "[proxy.customers.rotation]"))
    portal.config.write_text(
        portal.config.read_text()
        .replace("site.sandbox", "site.production")
        .replace('site = "sandbox"', 'site = "production"')
    )
    assert portal.rotator("verify").status == 0
    assert portal.rotator("rotate", "customers", "--now").status == 0


def test_status_and_doctor_say_that_all_is_well(portal: Sandbox) -> None:
    status = portal.rotator("status", "--json").result
    assert status["server_fingerprint"] == status["fingerprint"]
    assert status["linked"] == ["localhost", "rim1.localhost"]
    doctor = portal.rotator("doctor", "--json")
    assert doctor.status == 0, doctor.out
    assert {item["health"] for item in doctor.json["results"]} == {"ok"}


def test_the_sessions_that_are_cut_are_counted(portal: Sandbox) -> None:
    login(portal, token(portal))
    cuts = portal.rotator("rotate", "--now", "--dry-run", "--json").result["cuts"]
    assert cuts == [{"host": "localhost", "sessions": 1}, {"host": "rim1.localhost", "sessions": 0}]
    assert portal.rotator("rotate", "--now").status == 0
    assert portal.rotator("history", "portal", "--json").result["runs"][0]["sessions_cut"] == 1


def test_no_session_is_left_behind(portal: Sandbox) -> None:
    portal.rotator("verify")
    portal.rotator("doctor")
    assert portal.control("GET", "/sessions") == []


def test_an_older_release_without_csrftoken(folder: Path) -> None:
    with Sandbox(folder, ("--release", "2021-08")) as old:
        assert old.rotator("create-proxy", "--yes").status == 0
        assert old.rotator("rotate", "--now").status == 0
        assert old.rotator("verify").status == 0
        assert old.control("GET", "/sessions") == []


def test_undocumented_fields_survive(portal: Sandbox) -> None:
    entity = portal.virtual_proxy()
    entity["sessionLabels"] = ["by somebody else"]
    entity["websocketCrossOriginWhiteList"] = ["foreign.example.com"]
    portal.qrs("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", entity)
    assert portal.rotator("rotate", "--now").status == 0
    after = portal.virtual_proxy()
    changed = {field for field in after if after[field] != entity[field]} - {"jwtAttributeMap"}
    assert changed == {"jwtPublicKeyCertificate", "modifiedDate"}
