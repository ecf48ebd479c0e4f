"""rotator init keeps passwords and keys where it is told to: files of their owner, the keyring, credentials."""

import base64
import os
import shutil

import pytest
from first_configuration import flags, init, left, mode, target
from sandbox_process import Sandbox


@pytest.mark.usefixtures("secret_service")
def test_passwords_are_kept_where_they_are_told_to_be(site: Sandbox) -> None:
    password = (site.folder / "client.pfx.password").read_text().strip()
    pfx = {"cert": None, "key": None, "pfx": str(site.folder / "client.pfx")}
    place = target(site).parent
    for changes, arguments, made in (
        ({"password": f"file:{place}/client.password"}, "-", True),
        ({"password": f"file:{site.folder}/client.pfx.password"}, None, False),
        ({"password": "keyring:prod-pfx"}, "-", False),
        ({"password": "keyring:prod-pfx", "keyring": "secret-service", "master_key": None}, "-", False),
    ):
        source = {} if arguments is None else {"password_from": arguments}
        ended = init(site, *flags(site, **pfx, **changes, **source), stdin=password + "\n")
        assert ended.status == 0, ended.err
        assert password not in ended.out + ended.err
        assert (place / "client.password").exists() is made
        if made:
            assert mode(place / "client.password") == 0o600
        everything = b"".join(path.read_bytes() for path in place.rglob("*") if path.is_file())
        assert (password.encode() in everything) is made
        assert site.rotator("verify", config=target(site)).status == 1  # QRS lets us in; there is no virtual proxy yet
        assert "NotFound" not in site.rotator("doctor", config=target(site)).err
        shutil.rmtree(place)


def test_a_password_that_does_not_open_the_file(site: Sandbox) -> None:
    pfx = {"cert": None, "key": None, "pfx": str(site.folder / "client.pfx")}
    ended = init(site, *flags(site, **pfx, password="keyring:x", password_from="-"), stdin="hunter2\n")
    assert ended.status == 1
    assert "its password is wrong" in ended.err
    assert "hunter2" not in ended.err
    ended = init(site, *flags(site, **pfx))
    assert (ended.status, "missing: --password-from" in ended.err) == (2, True), ended.err
    assert left(site) == []


def test_credentials_are_commands_for_the_person(site: Sandbox) -> None:
    pfx = {"cert": None, "key": None, "pfx": str(site.folder / "client.pfx")}
    ended = init(
        site,
        *flags(site, **pfx, master_key="credential:rotator-master-key", password="credential:prod-pfx"),
        "--password-from",
        str(site.folder / "client.pfx.password"),
    )
    assert ended.status == 0, ended.err
    assert (
        "systemd-ask-password -n | systemd-creds encrypt --name=prod-pfx - /etc/credstore.encrypted/prod-pfx"
        in ended.out
    )
    assert "base64 | systemd-creds encrypt --name=rotator-master-key - " in ended.out
    assert left(site) == ["new", "new/rotator.toml"]
    credentials = site.folder.parent / "credentials"
    credentials.mkdir()
    (credentials / "rotator-master-key").write_bytes(base64.b64encode(os.urandom(32)))
    (credentials / "prod-pfx").write_bytes((site.folder / "client.pfx.password").read_bytes())
    target(site).unlink()
    there = init(
        site,
        *flags(site, **pfx, master_key="credential:rotator-master-key", password="credential:prod-pfx"),
        "--json",
        CREDENTIALS_DIRECTORY=str(credentials),
    )
    assert (there.status, there.result["credentials"]) == (0, []), there.err


def test_nothing_is_left_where_the_last_file_cannot_be_written(site: Sandbox) -> None:
    """The keyring would take the password and the folder the master key; the configuration itself finds no room."""
    code = (
        "import sys; from rotator.cli.init import writing\n"
        "honest = writing._write\n"
        "def full(file, owner, undo):\n"
        "    if file.path.suffix == '.toml':\n"
        "        file.path.write_bytes(b'half'); undo.callback(file.path.unlink); raise OSError(28, 'No space left on device')\n"
        "    honest(file, owner, undo)\n"
        "writing._write = full\n"
        "from rotator.cli.app import run; sys.exit(run(sys.argv[1:]))\n"
    )
    import subprocess
    import sys

    pfx = {"cert": None, "key": None, "pfx": str(site.folder / "client.pfx"), "password": "keyring:pfx"}
    source = ("--password-from", str(site.folder / "client.pfx.password"))
    command = ("--config", str(target(site)), "init", *flags(site, **pfx), *source)
    ended = subprocess.run(
        (sys.executable, "-c", code, *command), capture_output=True, text=True, stdin=subprocess.DEVNULL
    )
    assert (ended.returncode, "No space left on device" in ended.stderr) == (2, True), ended.stderr
    assert left(site) == []


def test_a_file_that_is_there_is_never_touched(site: Sandbox) -> None:
    place = target(site).parent
    place.mkdir()
    (place / "client.password").write_text("mine")
    (place / "client.password").chmod(0o600)
    pfx = {
        "cert": None,
        "key": None,
        "pfx": str(site.folder / "client.pfx"),
        "password": f"file:{place}/client.password",
    }
    source = ("--password-from", str(site.folder / "client.pfx.password"))
    ended = init(site, *flags(site, **pfx), *source)
    assert (ended.status, "is there already, and holds something else" in ended.err) == (2, True), ended.err
    assert (place / "client.password").read_text() == "mine"
    assert left(site) == ["new", "new/client.password"]


def test_an_account_that_will_run_it_is_given_the_files(site: Sandbox) -> None:
    """As root, for another account: private files are that account's, the configuration its folder's group's."""
    import grp
    import pwd

    account = pwd.getpwnam("daemon")
    place = target(site).parent
    place.mkdir()
    os.chown(place, 0, grp.getgrnam("daemon").gr_gid)
    ended = init(site, *flags(site, keyring_path=str(place / "keys")), "--account", "daemon")
    assert ended.status == 0, ended.err
    assert (place / "master.key").stat().st_uid == account.pw_uid
    found = target(site).stat()
    assert (found.st_uid, found.st_gid) == (0, account.pw_gid)
    held = site.rotator(
        "init",
        *flags(
            site,
            cert=None,
            key=None,
            pfx=str(site.folder / "client.pfx"),
            password="keyring:x",
            password_from=str(site.folder / "client.pfx.password"),
        ),
        "--account",
        "daemon",
        config=place / "b.toml",
    )
    assert (held.status, "belongs to the account that will run rotator" in held.err) == (2, True), held.err
    refused = site.rotator(
        "init", *flags(site, password="keyring:x"), "--account", "nobody-at-all", config=place / "b.toml"
    )
    assert (refused.status, "no such account" in refused.err) == (2, True)
