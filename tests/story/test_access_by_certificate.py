"""The way to QRS by client certificate: its files, its password, its end, its root."""

from pathlib import Path

from sandbox_process import Sandbox


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
