"""Keyrings without a desktop: sealed-file with a credential, and a real Secret Service."""

import base64
import json
import re

import pytest
from systemd_server import SECRET_SERVICE, Server, blocks


UNIT = "rotator-rotate@portal.service"
KEYRING = "rotator-keyring.service"


@pytest.fixture
def desk(server: Server) -> Server:
    """The server with gnome-keyring, and the virtual proxy in place."""
    server.do("Secret Service")
    server.configure(*SECRET_SERVICE)
    server.do("The first key")
    return server


def test_the_hints_of_a_wrong_account_work_when_they_are_pasted(ready: Server) -> None:
    box, before = ready.box, ready.fingerprint()
    refused = box.run("/opt/rotator/bin/rotator rotate portal --now --yes", check=False)
    assert refused.status == 78
    (command,) = re.findall(r"hint: run it as that account: (/usr/local/sbin/rotator .*)", refused.err)
    assert "rotated" in box.run(command).out
    assert ready.fingerprint() != before


def test_the_hint_of_a_missing_credential_works_where_nothing_but_the_credential_is_in_place(ready: Server) -> None:
    box, before = ready.box, ready.fingerprint()
    box.run("rm /usr/local/sbin/rotator")
    as_rotator = "STATE_DIRECTORY=/var/lib/rotator setpriv --reuid=rotator --regid=rotator --clear-groups"
    refused = box.run(f"{as_rotator} /opt/rotator/bin/rotator rotate portal --now --yes", check=False)
    assert refused.status == 1
    (command,) = re.findall(r"hint: as root, run it with them: (systemd-run .*)", refused.err)
    assert "rotated" in box.run(command).out
    status = command.replace("rotate portal --now --yes", "status --json")
    assert json.loads(box.run(status).out)["results"][0]["fingerprint"] != before
    assert box.run("ls -A /var/lib/rotator/.local", check=False).status != 0, "another state directory"


def test_the_shell_has_the_exit_status_the_pipes_and_the_terminal_of_rotator(ready: Server) -> None:
    assert ready.rotator("rotate nothing --now", check=False).status == 2
    assert ready.rotator("due portal", check=False).status == 1
    token = ready.rotator(r"token portal --user 'DIR\someone' | tr . '\n' | wc -l").out
    assert token.strip() == "3"
    exported = ready.box.run("rotator keys export portal | openssl x509 -noout -subject").out
    assert "rotator portal" in exported
    before = ready.fingerprint()
    for answer, status in (("n", 3), ("y", 0)):
        asked = ready.box.dialogue("rotator rotate portal --now", "Go on? [y/N]:", answer)
        assert asked.status == status, asked.out
    assert ready.fingerprint() != before


def test_the_person_behind_sudo_is_in_the_history(ready: Server) -> None:
    ready.box.run("SUDO_USER=alice rotator rotate portal --now --yes")
    assert "alice" in ready.rotator("history").out


def test_the_master_key_lies_nowhere_but_sealed(ready: Server) -> None:
    ready.rotator("rotate portal --now --yes")
    text = ready.box.run("systemd-creds decrypt /etc/credstore.encrypted/rotator-master-key -").out.strip()
    key = base64.b64decode(text)
    assert len(key) == 32
    forms = (text.encode(), key, key.hex().encode())
    told = list(ready.box.written())
    assert any(b"Started " in data for data in told), "the journal is among them"
    assert not [form for form in forms for data in told if form in data]
    assert ready.box.run(f"systemctl show {UNIT} -p Environment").out.strip() == "Environment="


def test_a_credential_that_is_missing_is_told(ready: Server) -> None:
    ready.box.run("rm /etc/credstore.encrypted/rotator-master-key")
    assert ready.box.run(f"systemctl start {UNIT}", check=False).status != 0
    assert ready.box.show(UNIT, "Result") == "exit-code"
    assert ready.box.show(UNIT, "ExecMainStatus") == "243"
    ready.box.until(f"journalctl -u 'rotator-failed@{UNIT}.service' | grep -q Tell")


def test_gnome_keyring_keeps_the_keys_across_runs_and_a_reboot(desk: Server) -> None:
    desk.make_due()
    first = desk.fingerprint()
    desk.box.run(f"systemctl start {UNIT}")
    second = desk.fingerprint()
    assert second != first
    assert desk.box.show(KEYRING, "ActiveState") == "active"
    desk.box.run(f"systemctl stop {KEYRING}")
    assert desk.fingerprint() == second
    desk.box.reboot()
    desk.make_due()
    third = desk.fingerprint()
    desk.box.run(f"systemctl start {UNIT}")
    assert desk.rotations() == 1
    assert desk.fingerprint() not in {first, second, third}
    desk.do("In a shell")
    assert desk.box.run("find /var/lib/rotator -name '*.sealed'").out == ""
    assert desk.box.run("ls /var/lib/rotator/keyrings").out.split() == ["login.keyring", "user.keystore"]


def test_the_keys_move_from_sealed_file_to_gnome_keyring(ready: Server) -> None:
    ready.rotator("rotate portal --now --yes")
    before = json.loads(ready.rotator("keys list --json").out)["results"]
    ready.do("By timer")
    ready.do("Secret Service")
    moving, settling = blocks("From one to the other")
    ready.box.run(moving)
    ready.use_secret_service()
    ready.box.run(settling)
    ready.box.run("rm -r /var/lib/rotator/keys /etc/credstore.encrypted/rotator-master-key")
    assert json.loads(ready.rotator("keys list --json").out)["results"] == before
    ready.make_due()
    ready.box.run(f"systemctl start {UNIT}")
    assert ready.rotations() == 1
    assert ready.rotator("verify").status == 0


def test_gnome_keyring_is_nobody_elses(desk: Server) -> None:
    stranger = "setpriv --reuid=nobody --regid=nogroup --clear-groups"
    bus = "unix:path=/run/rotator-keyring/bus"
    assert desk.box.run(f"{stranger} busctl --address={bus} list", check=False).status != 0
    assert "org.freedesktop.secrets" in desk.box.run(f"setpriv --reuid=rotator --regid=rotator --clear-groups busctl --address={bus} list").out  # fmt: skip
    password = desk.box.run("systemd-creds decrypt /etc/credstore.encrypted/rotator-keyring -").out.strip()
    assert not [data for data in desk.box.written() if password.encode() in data]


def test_a_gnome_keyring_that_has_died_is_started_again(desk: Server) -> None:
    before = desk.fingerprint()
    desk.box.run("pkill -9 -f '^/usr/bin/gnome-keyring-daemon'")
    desk.box.until(f"test $(systemctl show -P NRestarts {KEYRING}) = 1 && systemctl is-active -q {KEYRING}")
    assert desk.fingerprint() == before


def test_a_wrong_password_of_gnome_keyring_is_a_failure_that_is_told(desk: Server) -> None:
    desk.box.run(
        f"systemctl stop {KEYRING}; echo another | "
        "systemd-creds encrypt --name=rotator-keyring - /etc/credstore.encrypted/rotator-keyring"
    )
    assert desk.box.run(f"systemctl start {UNIT}", check=False).status != 0
    assert "rotator: error: the keyring secret-service cannot be used" in desk.box.journal(UNIT)
    desk.box.until(f"journalctl -u 'rotator-failed@{UNIT}.service' | grep -q Tell")


def test_gnome_keyring_starts_where_its_program_has_a_file_capability(desk: Server) -> None:
    desk.box.run(f"systemctl stop {KEYRING}; setcap cap_ipc_lock=ep /usr/bin/gnome-keyring-daemon")
    desk.box.run(f"systemctl start {KEYRING}")
    assert desk.rotator("verify").status == 0
