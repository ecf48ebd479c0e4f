"""rotator init on a terminal: it asks until the answer is right."""

from first_configuration import flags, left, target, works
from sandbox_process import ROTATOR, Sandbox
from terminal import conversation


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
