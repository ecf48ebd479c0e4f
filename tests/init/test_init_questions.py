"""rotator init on a terminal: it asks until the answer is right."""

import io

import pytest
from first_configuration import flags, left, target, works
from sandbox_process import ROTATOR, Sandbox
from terminal import conversation
from values import observed

from rotator.cli.init import proxies
from rotator.cli.init.interview import Interview
from rotator.config import load
from rotator.keystore.sealed_file import SealedFiles
from rotator.model import Json


def test_a_conversation_in_which_every_answer_is_wrong_first(site: Sandbox) -> None:
    place = target(site).parent
    password = (site.folder / "client.pfx.password").read_text().strip()
    half = site.folder / "half.pfx"
    half.write_bytes((site.folder / "client.pfx").read_bytes()[:1000])
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
            ("Client certificate:", str(site.folder / "control.json")),
            ("Client certificate:", str(half)),
            ("Client certificate:", str(site.folder / "client.pfx")),
            ("Its password:", "hunter2"),
            ("Its password:", ""),
            ("Client certificate:", str(site.folder / "client.pfx")),
            ("Its password:", password),
            ("Where is it to be kept", "here"),
            ("Where is it to be kept", "keyring:pfx"),
            ("User to be at QRS", r"CORP\alice"),
            ("User to be at QRS", ""),
            ("Prefix of the virtual proxy:", "hub"),
            ("Prefix of the virtual proxy:", "portal"),
            ("What rotator calls it [portal]:", ""),
            ("User of the test logins", "probe"),
            ("User of the test logins", r"'CORP\probe'"),
            ("User of the test logins", ""),
            ("When may the key be rotated:", "at night"),
            ("When may the key be rotated:", "SUN 02:00-02:01 UTC"),
            ("When may the key be rotated:", "any"),
            ("Keyring of the private keys:", "vault"),
            ("Keyring of the private keys:", "sealed-file"),
            ("Folder of the keyring", ""),
            ("Master key", "hunter3"),
            ("Master key", f"file:{site.folder}/root.pem"),
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
        "is neither in PEM nor a whole file in PKCS#12",
        "was not opened",
        r"must name directory and user, as CORP\alice, not",
        "must stand without quotes",
        "shorter than twice settle_timeout",
        "must be DAYS HH:MM-HH:MM ZONE",
        "neither 32 bytes",
    ):
        assert cause in said, cause
    for taught in ("[site.", "single quotes", "in this file"):
        assert taught not in said, taught
    assert "keyring:NAME" not in said.rpartition("Folder of the keyring")[2]
    assert password not in said
    assert "hunter2" not in said
    assert not (place / "client.password").exists()
    works(site)


def test_a_keyring_that_is_there_and_its_master_key(site: Sandbox) -> None:
    """A master key that does not open it leads back to the folder; a damaged one to a copy of it, and not to a new one."""
    place = target(site).parent
    master = site.folder.parent / "master.key"
    keys = site.folder.parent / "keys"
    SealedFiles(keys, bytes(range(32)))
    master.write_text("AAAA\n")
    master.chmod(0o600)
    answers = {"keyring_path": str(keys), "master_key": f"file:{place}/none.key"}
    command = (*ROTATOR, "--config", str(target(site)), "init", "--account", "root", *flags(site, **answers))
    status, said = conversation(
        command,
        [
            ("Name of the site", ""),
            ("User to be at QRS", ""),
            ("What rotator calls it", ""),
            ("User of the test", ""),
            ("Folder of the keyring", str(keys)),
            ("Master key", f"file:{master}"),
            ("Master key", f"file:{site.folder}/master.key"),
            ("Folder of the keyring", ""),
            ("Master key", ""),
            ("Go on?", ""),
        ],
    )
    assert status == 0, said
    assert "is not there to open it" in said
    assert f"restore your copy of it: no other key opens the keyring in {keys}" in said
    assert "the master key does not open the keyring" in said
    assert "keys master-key" not in said
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


def test_claims_that_a_server_has_are_taken_where_they_can_be_used(site: Sandbox) -> None:
    """A field that is null is no claim, and a constant that a terminal would obey is none either."""
    assert site.rotator("create-proxy", "--yes").status == 0
    entity = site.virtual_proxy()
    changed = {"jwtAttributeUserId": None, "jwtAttributeUserDirectory": "[\x1b]0;OWNED\x07]", "description": "x\x1b[2J"}
    site.qrs("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", entity | changed)
    command = (*ROTATOR, "--config", str(target(site)), "init", "--account", "root", *flags(site))
    asked = [("Name of the site", ""), ("User to be at QRS", ""), ("What rotator calls it", "")]
    status, said = conversation(
        command,
        [*asked, (r"User of the test logins [ROTATOR\probe]", ""), ("Folder of the keyring", ""), ("Go on?", "")],
    )
    assert status == 0, said
    assert "\x1b" not in said
    assert "OWNED" not in said
    spec = load(target(site), {}).proxies["portal"]
    assert (spec.user_id_claim, spec.user_directory_claim) == ("userId", "userDirectory")


@pytest.mark.parametrize(
    ("said", "taken"),
    [
        ((None, "[CORP]"), ("userId", "[CORP]")),
        (("uid", ""), ("uid", "userDirectory")),
        (("uid", "uid"), None),
        (("sub", 7), None),
    ],
)
def test_each_claim_is_taken_by_itself(said: tuple[Json, Json], taken: tuple[str, str] | None) -> None:
    entity: dict[str, Json] = {"jwtAttributeUserId": said[0], "jwtAttributeUserDirectory": said[1]}
    assert proxies.claims_of(observed(entity=entity)) == taken


def test_whatever_is_said_and_asked_a_terminal_only_shows(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO("yes\n"))
    talk = Interview({}, asking=True)
    talk.say("one\ntwo\x1b[2J")
    answer = talk.ask("--flag", "Really\x07", str, default="no\x1b[2J", explain="why\x1b")
    assert answer == "yes"
    assert capsys.readouterr().err.rstrip() == "one\ntwo\\x1b[2J\n\nwhy\\x1b\nReally\\x07:"
