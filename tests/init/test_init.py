"""rotator init: by flags and by questions, every answer tried, nothing written before all is right."""

import base64
import json
import os
import shutil
import stat
from collections.abc import Iterator
from pathlib import Path

import pytest
from sampling import sample
from sandbox_process import ROTATOR, Ended, Sandbox
from terminal import conversation

from rotator.config import load


@pytest.fixture
def site(folder: Path) -> Iterator[Sandbox]:
    with Sandbox(folder / "site", ("--nodes", "2")) as running:
        yield running


def flags(site: Sandbox, **changes: str | None) -> tuple[str, ...]:
    """Everything that has to be said, with changes; None takes one away."""
    said: dict[str, str | None] = {
        "qrs": site.ready["qrs"],
        "root_ca": str(site.folder / "root.pem"),
        "cert": str(site.folder / "client.pem"),
        "key": str(site.folder / "client_key.pem"),
        "prefix": "portal",
        "window": "any",
        "keyring": "sealed-file",
        "master_key": f"file:{site.folder.parent}/new/master.key",
        **changes,
    }
    pairs = [(f"--{name.replace('_', '-')}", value) for name, value in said.items() if value is not None]
    return tuple(word for pair in pairs for word in pair)


def target(site: Sandbox) -> Path:
    return site.folder.parent / "new" / "rotator.toml"


def init(site: Sandbox, *arguments: str, stdin: str = "", **environment: str) -> Ended:
    return site.rotator("init", *arguments, config=target(site), stdin=stdin, **environment)


def left(site: Sandbox) -> list[str]:
    """What is there besides the sandbox's own folder."""
    parent = site.folder.parent
    return sorted(
        str(path.relative_to(parent)) for path in parent.rglob("*") if site.folder not in (path, *path.parents)
    )


def works(site: Sandbox) -> None:
    """The configuration serves, from the creation to a rotation."""
    for command in (("create-proxy", "--yes"), ("doctor",), ("rotate", "--now"), ("verify",)):
        ended = site.rotator(*command, config=target(site))
        assert ended.status == 0, (command, ended.err)


def mode(path: Path) -> int:
    return stat.S_IMODE(path.stat().st_mode)


def test_by_flags_and_then_everything_works(site: Sandbox) -> None:
    ended = init(site, *flags(site), "--json")
    assert ended.status == 0, ended.err
    result = ended.result
    assert (result["outcome"], result["site"], result["name"]) == ("configured", "prod", "portal")
    assert [item["host"] for item in result["proxy_services"]] == ["localhost", "rim1.localhost"]
    assert result["files"] == [f"{target(site).parent}/master.key", str(target(site))]
    assert result["existing"] is False
    assert (mode(target(site)), mode(target(site).parent / "master.key")) == (0o640, 0o600)
    assert left(site) == ["new", "new/master.key", "new/rotator.toml"]
    text = target(site).read_text()
    assert text.count("#") >= 6
    config = load(target(site), {})
    assert config.sites["prod"].server_name is None
    assert config.proxies["portal"].named == {"site", "prefix", "test_user", "rotation"}
    works(site)
    again = init(site, *flags(site))
    assert again.status == 2
    assert "is there already" in again.err
    assert target(site).read_text() == text


def test_all_that_is_missing_is_told_at_once(site: Sandbox) -> None:
    ended = init(site)
    assert ended.status == 2
    for flag in ("--qrs", "--root-ca", "--pfx (or --cert and --key)", "--prefix", "--keyring", "--window"):
        assert flag in ended.err
    assert len(ended.err.splitlines()) == 2
    for change, flag in (
        ({"key": None}, "--key"),
        ({"master_key": None}, "--master-key"),
        ({"window": None}, "--window"),
    ):
        ended = init(site, *flags(site, **change))
        assert (ended.status, f"missing: {flag}\n" in ended.err) == (2, True), ended.err
    assert left(site) == []


WRONG = [
    ({"qrs": "https://localhost:1"}, 1, "refuses connections"),
    ({"qrs": "https://no-such-host.invalid"}, 1, "cannot be resolved"),
    ({"qrs": "http://localhost"}, 2, "must be an https URL"),
    ({"root_ca": "{site}/stranger.pem"}, 1, "is not trusted by"),
    ({"root_ca": "{site}/nothing.pem"}, 1, "cannot be read"),
    ({"cert": "{site}/stranger.pem", "key": "{site}/stranger_key.pem"}, 1, "client certificate"),
    ({"key": "{site}/stranger_key.pem"}, 1, "does not belong to the certificate"),
    ({"cert": "{site}/none.pem"}, 1, "cannot be read"),
    ({"password": "file:x"}, 1, "opens without a password"),
    ({"user": "alice"}, 2, "must name directory and user"),
    ({"user": r"CORP\alice"}, 1, "sees 0 virtual proxies"),
    ({"server_name": "elsewhere"}, 1, "is not for the name elsewhere"),
    ({"proxy_ca": "{site}/stranger.pem"}, 1, "is not trusted by"),
    ({"probe": "rim9=skip"}, 2, "no such proxy"),
    ({"probe": "rim1.localhost"}, 2, "not of the form HOST=WAY"),
    ({"probe": "rim1.localhost=127.0.0.1:1"}, 1, "refuses connections"),
    ({"prefix": "hub"}, 2, "is reserved by Qlik"),
    ({"prefix": "Portal"}, 2, "must be in lower case"),
    ({"name": "a b"}, 2, "must hold letters"),
    ({"test_user": "probe"}, 2, "must name directory and user"),
    ({"window": "SUN 02:00-05:00 Nowhere"}, 2, "has no time zone"),
    ({"keyring": "vault"}, 2, "must be"),
    ({"keyring": "secret-service"}, 1, "secret-service"),
    ({"master_key": "hunter2"}, 2, "must say where the secret is"),
    ({"master_key": "file:{site}/root.pem"}, 1, "neither 32 bytes"),
    ({"keyring_path": "{site}/root.pem/keys"}, 1, "cannot be made"),
    ({"state": "{site}/root.pem/state"}, 2, "no folder that this account may write to"),
]


def test_what_is_wrong_is_told_with_its_remedy_and_nothing_is_written(
    site: Sandbox, pytestconfig: pytest.Config
) -> None:
    for changes, status, said in sample(pytestconfig, "init", WRONG, 9):
        filled = {name: value.replace("{site}", str(site.folder)) for name, value in changes.items()}
        ended = init(site, *flags(site, **filled), DBUS_SESSION_BUS_ADDRESS="unix:path=/nowhere")
        assert (ended.status, said in ended.err) == (status, True), (changes, ended.err)
        assert "rotator: hint: " in ended.err, changes
        assert "Traceback" not in ended.err
        assert left(site) == [], changes


def test_the_short_name_in_the_certificate_is_found(site: Sandbox) -> None:
    port = site.ready["qrs"].rpartition(":")[2]
    # By its full name, as admins write it: the certificate is for the first part of it.
    ended = init(site, *flags(site, qrs=f"https://localhost.localhost:{port}"), "--json")
    assert ended.status == 0, ended.err
    assert ended.result["server_name"] == "localhost"
    assert load(target(site), {}).sites["prod"].server_name == "localhost"
    works(site)


def test_a_name_that_nothing_suggests_is_asked_for(site: Sandbox) -> None:
    port = site.ready["qrs"].rpartition(":")[2]
    ended = init(site, *flags(site, qrs=f"https://qlik.localhost:{port}"))
    assert ended.status == 2
    assert "missing: --server-name" in ended.err
    assert left(site) == []


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


def test_a_proxy_that_cannot_be_reached_is_skipped_or_reached_elsewhere(folder: Path) -> None:
    with Sandbox(folder / "site", ("--nodes", "3", "--fault", "refuse=600@rim1.localhost")) as site:
        ended = init(site, *flags(site))
        assert ended.status == 2
        assert "missing: --probe rim1.localhost=…" in ended.err
        assert "refuses connections" in ended.err
        assert left(site) == []
        port = site.ready["proxies"][2]["url"].rpartition(":")[2]
        ended = init(
            site, *flags(site, probe="rim1.localhost=skip"), "--probe", f"RIM2.localhost=127.0.0.1:{port}/localhost"
        )
        assert ended.status == 0, ended.err
        probe = load(target(site), {}).sites["prod"].probe
        assert probe["rim1.localhost"].skip
        assert (probe["rim2.localhost"].connect, probe["rim2.localhost"].host) == (
            ("127.0.0.1", int(port)),
            "localhost",
        )


def test_a_virtual_proxy_that_serves_is_adopted_and_keeps_its_claims(site: Sandbox) -> None:
    site.configure(
        ('user_id_claim = "userId"', 'user_id_claim = "uid"'),
        ('"userDirectory"', '"[CORP]"'),
        (r"ROTATOR\probe", r"CORP\probe"),
    )
    assert site.rotator("create-proxy", "--yes").status == 0
    key = site.folder / "taken.pem"
    assert site.rotator("release", "portal", "--private-to", str(key)).status == 0
    wrong = init(site, *flags(site, test_user=r"ROTATOR\probe"))
    assert (wrong.status, "constant" in wrong.err) == (2, True), wrong.err
    ended = init(site, *flags(site))
    assert ended.status == 0, ended.err
    assert f"rotator --config {target(site)} adopt portal --key FILE" in ended.out
    spec = load(target(site), {}).proxies["portal"]
    assert (spec.user_id_claim, spec.user_directory_claim, str(spec.test_user)) == ("uid", "[CORP]", r"CORP\probe")
    adopted = site.rotator("adopt", "portal", "--key", str(key), config=target(site))
    assert adopted.status == 0, adopted.err
    assert site.rotator("rotate", "--now", config=target(site)).status == 0


def test_names_that_others_have_are_refused(site: Sandbox) -> None:
    assert site.rotator("create-proxy", "--yes").status == 0
    entity = site.rotator("status", "--json").result
    assert entity["prefix"] == "portal"
    # A prefix of its own, whose cookie would be that of the virtual proxy that is there.
    site.configure(
        ('prefix = "portal"', 'prefix = "other"\nsession_cookie = "X-Qlik-Session-third"'),
        ("Customer portal", "Another"),
    )
    assert site.rotator("create-proxy", "--yes").status == 0
    ended = init(site, *flags(site, prefix="third"))
    assert (ended.status, "is taken by the virtual proxy" in ended.err) == (1, True), ended.err


def test_nothing_is_left_where_the_last_file_cannot_be_written(site: Sandbox) -> None:
    """The keyring would take the password and the folder the master key; the configuration itself finds no room."""
    code = (
        "import sys; from rotator.cli.init import writing\n"
        "honest = writing._write\n"
        "def full(file, owner, undo):\n"
        "    if file.path.suffix == '.toml':\n"
        "        file.path.write_bytes(b'half'); undo.append(file.path.unlink); raise OSError(28, 'No space left on device')\n"
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


def test_a_conversation_in_which_every_answer_is_wrong_first(site: Sandbox) -> None:
    place = target(site).parent
    password = (site.folder / "client.pfx.password").read_text().strip()
    status, said = conversation(
        (*ROTATOR, "--config", str(target(site)), "init", "--account", "root"),
        [
            ("Name of the site [prod]:", "a b"),
            ("Name of the site [prod]:", ""),
            ("URL of QRS:", "https://localhost:1"),
            ("URL of QRS:", site.ready["qrs"].removeprefix("https://")),
            ("Its root certificate:", str(site.folder / "stranger.pem")),
            ("Its root certificate:", str(site.folder / "root.pem")),
            ("Client certificate:", str(site.folder / "stranger.pem")),
            ("Its private key", ""),
            ("User to be at QRS", ""),
            ("Client certificate:", str(site.folder / "client.pfx")),
            ("Its password:", "hunter2"),
            ("Its password:", password),
            ("Where is it to be kept", "here"),
            ("Where is it to be kept", ""),
            ("User to be at QRS", r"CORP\alice"),
            ("Client certificate:", str(site.folder / "client.pfx")),
            ("Its password:", password),
            ("Where is it to be kept", "keyring:pfx"),
            ("User to be at QRS", ""),
            ("Prefix of the virtual proxy:", "hub"),
            ("Prefix of the virtual proxy:", "portal"),
            ("What rotator calls it [portal]:", ""),
            ("User of the test logins", "probe"),
            ("User of the test logins", ""),
            ("When may the key be rotated:", "at night"),
            ("When may the key be rotated:", "any"),
            ("Keyring of the private keys:", "vault"),
            ("Keyring of the private keys:", "sealed-file"),
            ("Folder of the keyring", ""),
            ("Master key", f"file:{site.folder}/root.pem"),
            ("Keyring of the private keys:", "sealed-file"),
            ("Folder of the keyring", ""),
            ("Master key", ""),
            ("Go on? [Y/n]:", ""),
        ],
    )
    assert status == 0, said
    for cause in (
        "must hold letters",
        "refuses connections",
        "is not trusted by",
        "client certificate",
        "its password is wrong",
        "must say where the secret is",
        "sees 0 virtual proxies",
        "is reserved by Qlik",
        "must name directory and user",
        "must be DAYS HH:MM-HH:MM ZONE",
        "neither 32 bytes",
    ):
        assert cause in said, cause
    assert password not in said
    assert "hunter2" not in said
    assert not (place / "client.password").exists()
    works(site)


def test_a_person_may_say_no(site: Sandbox) -> None:
    command = (*ROTATOR, "--config", str(target(site)), "init", "--account", "root", *flags(site))
    asked = [
        ("Name of the site", ""),
        ("User to be at QRS", ""),
        ("What rotator calls it", ""),
        ("User of the test", ""),
    ]
    status, said = conversation(command, [*asked, ("Folder of the keyring", ""), ("Go on?", "n")])
    assert status == 3, said
    assert "nothing was written" in said
    assert left(site) == []


def test_the_json_is_one_document(site: Sandbox) -> None:
    ended = init(site, "--json")
    assert json.loads(ended.out)["errors"][0]["reason"] == "UsageError"
