"""The main job, end to end: real processes, real TLS, a sandbox in a process of its own."""

import json
import shutil
import sqlite3
import ssl
import subprocess
import urllib.error
import urllib.request
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import pytest
from sandbox_process import ROTATOR, Sandbox
from secret_service import SecretServiceDaemon
from witness import paste

from rotator.keys import PrivateKey


def login(sandbox: Sandbox, token: str, proxy: int = 0) -> tuple[int, str]:
    """Show a token to a proxy, by a client that is none of rotator's."""
    trust = ssl.create_default_context(cafile=str(sandbox.folder / "root.pem"))
    url = f"{sandbox.ready['proxies'][proxy]['url']}/portal/qps/user"
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}), urllib.request.HTTPSHandler(context=trust))
    try:
        with opener.open(urllib.request.Request(url, headers={"Authorization": f"Bearer {token}"})) as answer:
            who = json.load(answer)
            return answer.status, f"{who['userDirectory']}\\{who['userId']}"
    except urllib.error.HTTPError as error:
        with error:
            return error.code, ""


def token(sandbox: Sandbox, *more: str) -> str:
    ended = sandbox.rotator("token", "portal", "--user", r"CORP\alice", *more)
    assert ended.status == 0, ended.err
    assert ended.out.count("\n") == 1
    return ended.out.strip()


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


def test_nothing_is_due_yet(portal: Sandbox) -> None:
    assert portal.rotator("due").status == 1
    ended = portal.rotator("rotate", "--json")
    assert (ended.status, ended.result["outcome"], ended.result["reason"]) == (0, "unchanged", "NotYet")


def test_due_when_the_key_is_old_enough_and_rotated_unattended(portal: Sandbox) -> None:
    adopted = portal.configure(('every = "30d"', 'every = "1h"'))
    key = portal.folder / "key.pem"
    assert portal.rotator("release", "portal", "--private-to", str(key)).status == 0
    assert portal.rotator("adopt", "portal", "--key", str(key)).status == 0  # its certificate began an hour ago
    assert portal.rotator("due", config=adopted).status == 0
    assert portal.rotator("rotate", "--json").result["outcome"] == "rotated"


def test_without_a_window_only_people_rotate(portal: Sandbox) -> None:
    portal.configure(('window = ["any"]', ""))
    assert portal.rotator("due").status == 255
    unattended = portal.rotator("rotate")
    assert unattended.status == 78
    assert "window" in unattended.err
    assert portal.rotator("rotate", "--now").status == 0


def test_outside_the_window_try_later(portal: Sandbox) -> None:
    day = ("MON", "TUE", "WED", "THU", "FRI", "SAT", "SUN")[(datetime.now(UTC).weekday() + 3) % 7]
    portal.configure(('window = ["any"]', f'window = ["{day} 02:00-05:00 UTC"]'))
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["reason"]) == (3, "WindowClosed")
    assert portal.rotator("rotate", "--now", "--ignore-window").status == 0


def test_adopt_takes_a_key_in_without_a_write(portal: Sandbox) -> None:
    key = portal.folder / "key.pem"
    portal.rotator("release", "portal", "--private-to", str(key))
    assert portal.rotator("rotate", "--now").status == 4
    portal.forget_requests()
    ended = portal.rotator("adopt", "portal", "--key", "-", "--json", stdin=key.read_text())
    assert (ended.status, ended.result["outcome"]) == (0, "adopted")
    assert portal.requests("qrs", "POST", "PUT") == []
    assert portal.rotator("rotate", "--now").status == 0


def test_a_key_that_is_not_the_served_one_is_not_taken_in(portal: Sandbox) -> None:
    portal.rotator("release", "portal")
    ended = portal.rotator("adopt", "portal", "--key", "-", stdin=PrivateKey.generate(2048).to_pem().decode())
    assert ended.status == 1
    assert "is not the one that the virtual proxy serves" in ended.err


def test_replace_key_wants_the_fingerprint_confirmed(portal: Sandbox) -> None:
    shown = portal.rotator("keys", "list", "--json").result["fingerprint"]
    portal.rotator("release", "portal")
    stopped = portal.rotator("rotate", "--now")
    assert stopped.status == 4
    assert shown[:12] in stopped.err
    assert "adopt portal" in stopped.err
    assert portal.rotator("create-proxy", "--yes").status == 4
    assert portal.rotator("adopt", "portal", "--replace-key").status == 2
    assert portal.rotator("adopt", "portal", "--replace-key", "--fingerprint", "0" * 12).status == 2
    assert portal.rotator("adopt", "portal", "--replace-key", "--fingerprint", shown[:12]).status == 0
    assert portal.rotator("verify").status == 0


def test_a_proxy_that_never_applies_the_change_is_undone(portal: Sandbox) -> None:
    before = portal.rotator("keys", "list", "--json").result["fingerprint"]
    portal.fault("stuck=rim1.localhost")
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["reason"]) == (1, "Undone")
    assert {check["check"] for check in ended.result["proxies"]} == {"pending", "current"}
    assert portal.rotator("keys", "list", "--json").result["fingerprint"] == before
    portal.control("DELETE", "/faults")
    assert portal.rotator("verify").status == 0


@pytest.mark.parametrize(
    "fault",
    [
        "lost@qrs:PUT",
        "html@qrs:PUT",
        "truncate@qrs:PUT",
        "status=503@qrs:PUT",
        "conflict",
        "reset@qrs:PUT",
        "late=1@qrs:PUT",
    ],
)
def test_a_rotation_survives_what_happens_to_its_put(portal: Sandbox, fault: str) -> None:
    portal.fault(fault)
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["outcome"]) == (0, "rotated"), ended.err
    assert portal.rotator("verify").status == 0


def test_a_put_that_never_gets_through_leaves_the_old_key_and_is_finished_later(portal: Sandbox) -> None:
    old = token(portal)
    portal.fault("reset@qrs:PUT#*")
    ended = portal.rotator("rotate", "--now")
    assert ended.status == 1
    assert login(portal, old) == (200, r"CORP\alice")
    assert portal.rotator("due").status == 0
    assert portal.rotator("verify").status == 0
    portal.control("DELETE", "/faults")
    assert portal.rotator("rotate", "--json").result["outcome"] == "rotated"
    assert login(portal, old)[0] == 401


def test_a_proxy_that_refuses_connections_is_unverified(portal: Sandbox) -> None:
    portal.fault("refuse=60@rim1.localhost")
    ended = portal.rotator("verify", "--json")
    assert ended.status == 1
    assert {check["result"] for check in ended.result["proxies"] if check["host"] == "rim1.localhost"} == {"unverified"}


def test_a_foreign_edit_in_between_survives(portal: Sandbox) -> None:
    portal.fault("conflict@qrs:PUT#1")
    assert portal.rotator("rotate", "--now").status == 0


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


def test_an_unreachable_proxy_is_unverified_by_name(portal: Sandbox) -> None:
    text = portal.config.read_text()
    start = text.index('"rim1.localhost" =')
    line = text[start : text.index("\n", start)]
    portal.configure((line, '"rim1.localhost" = { connect = "127.0.0.1:9", host = "rim1.localhost" }'))
    ended = portal.rotator("verify", "--json")
    assert ended.status == 1
    assert {"rim1.localhost"} == {check["host"] for check in ended.result["proxies"] if check["result"] == "unverified"}
    assert portal.rotator("rotate", "--now").status == 1
    portal.configure(
        (
            '"rim1.localhost" = { connect = "127.0.0.1:9", host = "rim1.localhost" }',
            '"rim1.localhost" = { skip = true }',
        )
    )
    skipped = portal.rotator("verify", "--json")
    assert skipped.status == 0
    assert [check["result"] for check in skipped.result["proxies"] if check["host"] == "rim1.localhost"] == [
        "unverified"
    ]


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


def test_a_root_without_key_identifiers_is_accepted(folder: Path) -> None:
    with Sandbox(folder, ("--root-without-key-identifier",)) as site:
        assert site.rotator("create-proxy", "--yes").status == 0


def test_pkcs12_and_its_wrong_password(portal: Sandbox) -> None:
    pair = f'cert = "{portal.folder}/client.pem"\nkey = "{portal.folder}/client_key.pem"\n'
    pfx = f'pfx = "{portal.folder}/client.pfx"\npassword = "file:{portal.folder}/client.pfx.password"\n'
    portal.configure((pair, pfx))
    assert portal.rotator("verify").status == 0
    (portal.folder / "client.pfx.password").write_text("wrong\n")
    ended = portal.rotator("verify")
    assert ended.status == 1
    assert "its password is wrong" in ended.err


def test_an_expired_client_certificate_is_named_before_any_request(folder: Path) -> None:
    with Sandbox(folder, ("--client-certificate-days=-1",)) as site:
        ended = site.rotator("status")
        assert ended.status == 1
        assert "expired on" in ended.err
        assert site.requests("qrs") == []


def test_the_same_with_a_secret_service(
    sandbox: Sandbox, secret_service: SecretServiceDaemon, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = sandbox.config.read_text()
    sealed = text[text.index("backend = ") : text.index("[state]")]
    sandbox.configure((sealed, 'backend = "secret-service"\n\n'))
    for command in (("create-proxy", "--yes"), ("rotate", "--now"), ("verify",)):
        ended = sandbox.rotator(*command)
        assert ended.status == 0, ended.err
    assert not (sandbox.folder / "keys").exists()
    secret_service.restart()
    monkeypatch.setenv("DBUS_SESSION_BUS_ADDRESS", secret_service.address)
    assert sandbox.rotator("rotate", "--now").status == 0


@pytest.mark.parametrize(
    "fault",
    [
        "lost@qrs:POST",
        "reset@qrs:POST",
        "status=500@qrs:POST",
        "html@qrs:POST",
        "truncate@qrs:POST",
        "lost@qrs:PUT",
        "conflict@qrs:PUT",
        "status=503@qrs:PUT#2",
        "stuck=rim1.localhost",
    ],
)
def test_a_creation_that_is_disturbed_is_finished_by_the_same_run_or_the_next(sandbox: Sandbox, fault: str) -> None:
    sandbox.fault(fault)
    first = sandbox.rotator("create-proxy", "--yes")
    assert first.status in (0, 1), first.err
    assert "Traceback" not in first.err
    sandbox.control("DELETE", "/faults")
    if first.status:
        assert sandbox.rotator("due").status == 0
        again = sandbox.rotator("create-proxy", "--yes")
        if fault.startswith("stuck"):
            assert again.status == 1  # the proxy missed the change: only another one makes it restart
            return
        assert again.status == 0, again.err
    assert sandbox.rotator("verify").status == 0
    assert len(sandbox.rotator("keys", "list", "--json").result["keys"]) == 1


@pytest.mark.parametrize("way_out", ["adopt", "replace"])
def test_a_rotation_that_somebody_overtook_has_a_way_out(portal: Sandbox, way_out: str) -> None:
    portal.fault("reset@qrs:PUT#*")
    assert portal.rotator("rotate", "--now").status == 1
    assert portal.rotator("adopt", "portal", "--replace-key", "--fingerprint", "0" * 12).status == 1  # not finished
    portal.control("DELETE", "/faults")
    theirs = paste(portal)
    assert portal.rotator("rotate", "--now").status == 4
    shown = PrivateKey.from_file_bytes(theirs).fingerprint[:12]
    if way_out == "adopt":
        ended = portal.rotator("adopt", "portal", "--key", "-", stdin=theirs.decode())
    else:
        ended = portal.rotator("adopt", "portal", "--replace-key", "--fingerprint", shown)
    assert ended.status == 0, ended.err
    assert portal.rotator("rotate", "--now").status == 0
    assert portal.rotator("verify").status == 0


def test_a_put_that_is_forbidden_leaves_nothing_open(portal: Sandbox) -> None:
    portal.fault("status=403@qrs:PUT#*")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    assert portal.rotator("due").status == 1
    assert portal.rotator("rotate", "--now").status == 0


def second_host(portal: Sandbox, name: str) -> Path:
    """Another rotator with a keyring and a state directory of its own, which has taken the current key in."""
    folder = portal.folder / name
    folder.mkdir()
    text = portal.config.read_text()
    for place in ("keys", "state"):
        text = text.replace(f'"{portal.folder}/{place}"', f'"{folder}/{place}"')
    config = folder / "rotator.toml"
    config.write_text(text)
    taken = folder / "taken.pem"
    assert portal.rotator("keys", "export", "portal", "--private", "--output", str(taken)).status == 0
    assert portal.rotator("adopt", "portal", "--key", str(taken), config=config).status == 0
    return config


def test_two_hosts_cannot_both_win_and_the_loser_leaves_nothing_behind(portal: Sandbox) -> None:
    other = second_host(portal, "other")
    kept = sorted(path.name for path in (other.parent / "keys").iterdir())
    portal.fault("slow=8@qrs:PUT")
    with subprocess.Popen(
        (*ROTATOR, "--config", str(other), "rotate", "--now", "--json"), stdout=subprocess.PIPE, text=True
    ) as loser:
        portal.wait_held(loser)
        won = portal.rotator("rotate", "--now", "--json").result
        told, _ = loser.communicate(timeout=60)
    result = json.loads(told)["results"][0]
    assert (loser.returncode, result["reason"]) == (4, "Drift")
    assert won["outcome"] == "rotated"
    assert portal.rotator("verify").status == 0
    assert portal.rotator("status", "--json").result["server_fingerprint"] == won["fingerprint"]
    assert [key["stage"] for key in portal.rotator("keys", "list", "--json", config=other).result["keys"]] == [
        "current"
    ]
    assert sorted(path.name for path in (other.parent / "keys").iterdir()) == kept
    assert portal.rotator("due", config=other).status == 1
    assert portal.control("GET", "/sessions") == []


def test_a_key_that_was_prepared_stays_where_its_rotation_never_arrived(portal: Sandbox) -> None:
    prepared = portal.rotator("rotate", "--prepare", "--json").result["fingerprint"]
    portal.fault("status=403@qrs:PUT#*")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    assert portal.rotator("rotate", "--now", "--json").result["fingerprint"] == prepared


def test_a_keyring_restored_from_a_backup_stops_every_run_but_recover(portal: Sandbox) -> None:
    backup = portal.folder / "backup"
    shutil.copytree(portal.folder / "keys", backup)
    assert portal.rotator("rotate", "--now").status == 0
    shutil.rmtree(portal.folder / "keys")
    backup.rename(portal.folder / "keys")
    stopped = portal.rotator("rotate", "--now", "--json")
    assert (stopped.status, stopped.result["reason"]) == (4, "RestoredKeyring")
    assert "rotator recover portal" in stopped.err
    # The newer key is not in the backup: it stays a matter for a person, and the older copy is not accepted by asking.
    asked = portal.rotator("recover", "--json")
    assert (asked.status, asked.result["reason"]) == (4, "Drift")
    assert portal.rotator("rotate", "--now", "--json").result["reason"] == "RestoredKeyring"
    shown = portal.rotator("status", "--json").result["server_fingerprint"]
    replaced = portal.rotator("recover", "portal", "--replace-lost-key", "--fingerprint", shown[:12])
    assert replaced.status == 0, replaced.err
    assert portal.rotator("rotate", "--now").status == 0
    assert portal.rotator("verify").status == 0


def test_rollback_goes_back_and_a_second_one_forward_again(portal: Sandbox) -> None:
    old = portal.rotator("keys", "list", "--json").result["fingerprint"]
    nothing = portal.rotator("rollback", "portal")
    assert nothing.status == 1
    assert "no previous key" in nothing.err
    new = portal.rotator("rotate", "--now", "--json").result["fingerprint"]
    back = portal.rotator("rollback", "portal", "--json")
    assert (back.status, back.result["outcome"], back.result["fingerprint"]) == (0, "rolled-back", old)
    assert "unattended runs leave it so until" in back.result["message"]
    assert portal.rotator("verify").status == 0
    again = portal.rotator("rollback", "portal", "--json")
    assert (again.status, again.result["fingerprint"]) == (0, new)


def test_history_tells_each_run_with_its_steps(portal: Sandbox) -> None:
    portal.fault("stuck=rim1.localhost")
    assert portal.rotator("rotate", "--now").status == 1
    portal.control("DELETE", "/faults")
    assert portal.rotator("rotate", "--now").status == 0
    told = portal.rotator("history", "portal", "--json").result["runs"]
    assert [(run["command"], run["outcome"], run["exit"]) for run in told] == [
        ("rotate", "rotated", 0),
        ("rotate", "failed", 1),
        ("create-proxy", "created", 0),
    ]
    steps = [event["step"] for event in told[0]["steps"] if event["kind"] == "step"]
    assert steps == ["look", "create", "set", "test", "finish"]
    assert "undo" in [event["step"] for event in told[1]["steps"]]
    assert told[1]["reason"] == "Undone"
    assert all(run["requests"] > 0 and run["seconds"] > 0 and run["started_by"] for run in told)
    assert "eyJ" not in json.dumps(told)
    shown = portal.rotator("history", "portal").out
    assert "rotated" in shown
    assert "Undone: portal: the new key" in shown


def test_a_journal_of_a_newer_rotator_is_refused(portal: Sandbox) -> None:
    with closing(sqlite3.connect(portal.folder / "state" / "journal.sqlite")) as database:
        database.execute("PRAGMA user_version = 99")
    ended = portal.rotator("rotate", "--now", "--json")
    assert (ended.status, ended.result["reason"]) == (1, "JournalError")
    assert "upgrade rotator" in ended.err
    assert portal.rotator("history").status == 1


def test_prune_keeps_what_may_still_be_needed_and_asks_the_server_first(portal: Sandbox) -> None:
    for _ in range(3):
        assert portal.rotator("rotate", "--now").status == 0
    kept = portal.rotator("keys", "prune", "--keep", "0", "--json")
    assert (kept.status, kept.result["outcome"]) == (0, "unchanged")  # each was sent less than a week ago
    portal.fault("status=503@qrs#*")
    assert portal.rotator("keys", "prune", "--keep", "0").status == 1
    portal.control("DELETE", "/faults")
    assert len(portal.rotator("keys", "list", "--json").result["keys"]) == 4


def test_a_lock_that_is_held_names_its_owner_and_since_when(portal: Sandbox) -> None:
    portal.fault("slow=8@qrs:PUT")
    with subprocess.Popen(
        (*ROTATOR, "--config", str(portal.config), "rotate", "--now"), stdout=subprocess.PIPE, stderr=subprocess.DEVNULL
    ) as owner:
        portal.wait_held(owner)
        held = portal.rotator("rotate", "--now", "--json")
        assert owner.wait(60) == 0
    assert (held.status, held.result["reason"]) == (3, "LockHeld")
    assert f"process {owner.pid}" in held.err
    assert "since 20" in held.err
