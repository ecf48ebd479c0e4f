"""rotator init by flags: every one tried, nothing written before all is right."""

import json
from pathlib import Path

import pytest
from first_configuration import flags, init, left, mode, target, works
from sampling import sample
from sandbox_process import Sandbox

from rotator.config import load


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
    ({"test_user": r"'CORP\probe'"}, 2, "must stand without quotes"),
    ({"window": "SUN 02:00-05:00 Nowhere"}, 2, "has no time zone"),
    ({"window": "SUN 02:00-02:01 UTC", "qrs": "https://localhost:1"}, 2, "shorter than twice settle_timeout"),
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


def test_the_json_is_one_document(site: Sandbox) -> None:
    ended = init(site, "--json")
    assert json.loads(ended.out)["errors"][0]["reason"] == "UsageError"
