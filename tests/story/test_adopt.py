"""A virtual proxy that serves a key which is not in the keyring: taken in, or replaced."""

import pytest
from sandbox_process import Sandbox
from witness import paste

from rotator.keys import PrivateKey


def test_adopt_takes_a_key_in_without_a_write(portal: Sandbox) -> None:
    key = portal.folder / "key.pem"
    portal.rotator("release", "portal", "--private-to", str(key))
    assert portal.rotator("rotate", "--now").status == 4
    portal.forget_requests()
    ended = portal.rotator("adopt", "portal", "--key", "-", "--json", stdin=key.read_text())
    assert (ended.status, ended.result["outcome"]) == (0, "adopted")
    assert portal.requests("qrs", "POST", "PUT") == []
    assert portal.rotator("rotate", "--now").status == 0


def test_a_key_in_a_file_that_others_can_read_is_taken_with_a_warning(portal: Sandbox) -> None:
    key = portal.folder / "key.pem"
    portal.rotator("release", "portal", "--private-to", str(key))
    key.chmod(0o640)
    ended = portal.rotator("adopt", "portal", "--key", str(key), "--json")
    assert (ended.status, ended.result["outcome"]) == (0, "adopted")
    assert ended.err.count(f"rotator: warning: --key {key} can be read by others (mode 0640)") == 1


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


def test_escapes_around_a_certificate_reach_no_terminal(portal: Sandbox) -> None:
    key, exported = portal.folder / "key.pem", portal.folder / "exported.pem"
    portal.rotator("release", "portal", "--private-to", str(key))
    entity = portal.virtual_proxy()
    certificate = entity["jwtPublicKeyCertificate"]
    entity["jwtPublicKeyCertificate"] = "\x1b]0;OWNED\x07\x1b[2J café \n" + certificate
    portal.qrs("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", entity)
    assert portal.rotator("adopt", "portal", "--key", str(key)).status == 0
    ended = portal.rotator("keys", "export", "portal")
    assert (ended.status, ended.err) == (0, "")
    assert ended.out.endswith("-----END PUBLIC KEY-----\n" + certificate)
    assert portal.rotator("keys", "export", "portal", "--output", str(exported)).status == 0
    assert exported.read_text() == ended.out
    assert portal.rotator("rotate", "--now").status == 0


def test_while_replacing_a_lost_key_is_undone_export_prints_what_belongs_on_the_server(portal: Sandbox) -> None:
    assert portal.rotator("release", "portal").status == 0
    entity = portal.virtual_proxy()
    shown = portal.rotator("status", "--json").result["server_fingerprint"]
    for host in ("localhost", "rim1.localhost"):
        portal.fault(f"stuck={host}")
    for number in range(2, 20):
        portal.fault(f"status=503@qrs:PUT#{number}")
    replaced = portal.rotator("adopt", "portal", "--replace-key", "--fingerprint", shown[:12])
    assert replaced.status == 4, replaced.err
    assert "`rotator keys export portal` prints the certificate that belongs there" in replaced.err
    ended = portal.rotator("keys", "export", "portal")
    assert ended.status == 0, ended.err
    assert ended.out.endswith(entity["jwtPublicKeyCertificate"])
    assert "this is the certificate that belongs on the server" in ended.err
    told = portal.rotator("keys", "export", "portal", "--json").result
    assert (told["certificate"], told["stage"]) == (entity["jwtPublicKeyCertificate"], None)
