"""Every mistake has its message: the place, the cause, and what would be right."""

from pathlib import Path

import pytest
from good_config import GOOD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from rotator.config import find, load
from rotator.errors import ConfigError


MISTAKES = [
    # what is replaced, by what, what the message says
    (
        'backend = "sealed-file"',
        'backend = "vault"',
        'keyring.backend must be "secret-service", "windows", "macos" or "sealed-file", not "vault"',
    ),
    ('backend = "sealed-file"', "", "keyring.backend is missing"),
    ('backend = "sealed-file"', 'backend = "secret-service"', 'keyring.path belongs to backend = "sealed-file" alone'),
    ('path = "keys"', "", 'keyring.path is missing: backend = "sealed-file" needs it'),
    ('master_key = "file:master.key"', "", "keyring.master_key is missing"),
    ('"file:master.key"', '"keyring:x"', "keyring.master_key must be"),
    ('"file:master.key"', '"hunter2"', "keyring.master_key must say where the secret is"),
    ('"file:master.key"', '"credential:a/b"', 'keyring.master_key must be a plain name after "credential:"'),
    ('path = "state"', "path = 3", "state.path must be a string, not an integer"),
    ('path = "state"', 'path = "~/state"', 'state.path must be a whole path: "~" is not expanded'),
    ('path = "state"', 'pth = "state"', "state.pth is not known; did you mean path?"),
    ("[state]", "[notify]\n[state]", "notify names no channel: give hooks, webhook or mail"),
    ("[state]", '[notify]\nhoks = "x"\n[state]', "notify.hoks is not known; did you mean hooks?"),
    ("[state]", '[notify]\nwebhook = "http://x.example.com/a"\n[state]', "notify.webhook must be an https URL"),
    ("[state]", '[notify]\nwebhook = "https://u:p@x.example.com/a"\n[state]', "notify.webhook must not hold a user"),
    ("[state]", '[notify]\nwebhook = "https://x.example.com/a#b"\n[state]', "notify.webhook must not hold a fragment"),
    (
        "[state]",
        '[notify]\nwebhook = "hunter2"\n[state]',
        "notify.webhook must be an https URL, or say where it is kept",
    ),
    ("[state]", '[notify]\nwebhook = "keyring:x"\n[state]', 'notify.webhook must be "credential:NAME" or "file:PATH"'),
    ("[state]", "[notify]\nwebhook = 3\n[state]", "notify.webhook must be a string, not an integer"),
    ("[state]", '[notify]\nhooks = "x"\nwebhook_ca = "system"\n[state]', "notify.webhook_ca belongs to webhook"),
    ("[state]", '[notify]\nhooks = "x"\nmail_from = "a@b"\n[state]', "notify.mail_from belongs to mail"),
    ("[state]", '[notify]\nmail = ["-oQ/tmp"]\n[state]', "notify.mail [0] must be a plain mail address"),
    ("[state]", '[notify]\nmail = ["|sh"]\n[state]', "notify.mail [0] must be a plain mail address"),
    ("[state]", "[metrics]\n[state]", "metrics.textfile is missing"),
    ("[state]", '[metrics]\ntextfile = "/x/rotator.txt"\n[state]', "metrics.textfile must end in .prom"),
    ("[state]", "[stat]", "stat is not known; did you mean state?"),
    ('qrs = "https://qlik.example.com:4242"', 'qrs = "http://qlik.example.com"', "site.prod.qrs must be an https URL"),
    ("example.com:4242", "example.com:4242/qrs", "site.prod.qrs must be a server alone"),
    ("https://qlik", "https://me:pw@qlik", "site.prod.qrs must not hold a user or password"),
    ("example.com:4242", "example.com:99999", "site.prod.qrs must be an https URL"),
    ('root_ca = "root.pem"', "", "site.prod.root_ca is missing"),
    ('root_ca = "root.pem"', 'root_ca = ""', "site.prod.root_ca must not be empty"),
    ('auth = "certificate"', 'auth = "kerberos"', 'site.prod.auth must be "certificate" or "jwt", not "kerberos"'),
    ('auth = "certificate"', 'auth = "jwt"', 'site.prod.jwt is missing: auth = "jwt" needs url and user'),
    ('auth = "certificate"', 'auth = "certificate"\nverify = false', "site.prod.verify is not known"),
    (
        'auth = "certificate"',
        'auth = "certificate"\nserver_name = "https://x"',
        "site.prod.server_name must be a host name",
    ),
    ('cert = "client.pem"\nkey = "client_key.pem"', "", "site.prod.certificate names no certificate"),
    ('key = "client_key.pem"', "", "site.prod.certificate.key is missing: cert needs it"),
    ('cert = "client.pem"', "", "site.prod.certificate.cert is missing: key needs it"),
    (
        'cert = "client.pem"',
        'cert = "client.pem"\npfx = "client.pfx"',
        "site.prod.certificate has both pfx and cert/key",
    ),
    (
        'cert = "client.pem"',
        'cert = "client.pem"\npassword = "secret"',
        "site.prod.certificate.password must say where the secret is",
    ),
    (r"'INTERNAL\sa_api'", '"sa_api"', "site.prod.certificate.user must name directory and user"),
    (
        'connect = "10.0.0.5:8443"',
        'connect = "10.0.0.5"',
        'site.prod.probe."rim1.example.com".connect must be host:port',
    ),
    ("skip = true", 'skip = "true"', 'site.prod.probe."rim3.example.com".skip must be true or false, not a string'),
    ("{ skip = true }", '{ skip = true, host = "x" }', "both skips the proxy and says how it is reached"),
    ('"https://rim2.internal"', "8443", 'site.prod.probe."rim2.example.com" must be a URL, or a table'),
    ('"https://rim2.internal"', '"rim2.internal"', 'site.prod.probe."rim2.example.com" must be an https URL'),
    ('site = "prod"', 'site = "test"', 'proxy.portal.site = "test" is not configured; there is: prod'),
    ('site = "prod"', "", "proxy.portal.site is missing"),
    ('prefix = "portal"', 'prefix = ""', "proxy.portal.prefix must not be empty: that is the default virtual proxy"),
    ('prefix = "portal"', 'prefix = "Portal"', 'proxy.portal.prefix must be in lower case, as "portal"'),
    ('prefix = "portal"', 'prefix = "a/b"', "proxy.portal.prefix must hold only a-z"),
    ('prefix = "portal"', 'prefix = "Por tal"', "proxy.portal.prefix must hold only a-z"),
    ('prefix = "portal"', 'prefix = "Hub"', 'proxy.portal.prefix = "Hub" is reserved by Qlik'),
    ('prefix = "portal"', 'prefix = "hub"', 'proxy.portal.prefix = "hub" is reserved by Qlik'),
    (
        'prefix = "portal"',
        'prefix = "portal"\nsession_cookie = "X Qlik"',
        "proxy.portal.session_cookie must be a cookie name",
    ),
    ('user_id_claim = "userId"', 'user_id_claim = "sub"', 'proxy.portal.user_id_claim = "sub" is a registered claim'),
    (
        'user_id_claim = "userId"',
        'user_id_claim = "userDirectory"',
        'proxy.portal.user_directory_claim = "userDirectory" is the user_id_claim too',
    ),
    (
        'user_id_claim = "userId"',
        'user_id_claim = "[x"',
        "proxy.portal.user_id_claim must be a claim name, or a constant in brackets",
    ),
    (
        '"userDirectory"',
        "\"[CORP]\"\ntest_user = 'OTHER\\probe'",
        'proxy.portal.test_user must have the directory "CORP"',
    ),
    (
        'prefix = "portal"',
        'prefix = "portal"\nattributes = [{ claim = "g" }]',
        "proxy.portal.attributes [0] has no sense",
    ),
    (
        'prefix = "portal"',
        'prefix = "portal"\nattributes = [{ claim = "g", sense = "g", must = true }]',
        '[0] knows claim, sense and mandatory, not "must"',
    ),
    (
        'prefix = "portal"',
        'prefix = "portal"\nattributes = [{ claim = "g", sense = "g", mandatory = true }]',
        'proxy.portal.test_claims must hold "g"',
    ),
    ('prefix = "portal"', 'prefix = "portal"\ntest_claims = { exp = 1 }', 'proxy.portal.test_claims cannot set "exp"'),
    (
        'prefix = "portal"',
        'prefix = "portal"\nhost_allow_list = ["https://x"]',
        "proxy.portal.host_allow_list [0] must be a host name",
    ),
    ('prefix = "portal"', 'prefix = "portal"\nhost_allow_list = "x"', "proxy.portal.host_allow_list must be an array"),
    ('prefix = "portal"', 'prefix = "portal"\nadditional_response_headers = ["nonsense"]', "[0] must be a header"),
    ('prefix = "portal"', 'prefix = "portal"\nproxies = []', "proxy.portal.proxies must name at least one host"),
    ('prefix = "portal"', 'prefix = "portal"\nsession_inactivity_timeout = "90s"', "must be whole minutes"),
    (
        'prefix = "portal"',
        'prefix = "portal"\nsession_inactivity_timeout = 30',
        "proxy.portal.session_inactivity_timeout must be a duration",
    ),
    ('prefix = "portal"', 'prefix = "portal"\nconsumers = "hook"', "proxy.portal.hook is missing"),
    (
        'prefix = "portal"',
        'prefix = "portal"\nhook = "/bin/true"',
        'proxy.portal.hook belongs to consumers = "hook" alone',
    ),
    (
        'prefix = "portal"',
        'prefix = "portal"\nmax_token_ttl = "90d"',
        "proxy.portal.max_token_ttl must be from 1m to 1d",
    ),
    ('prefix = "portal"', 'prefix = "portal"\nsite_name = 1', "proxy.portal.site_name is not known"),
    (
        'every = "30d"',
        'every = "30 days"',
        'proxy.portal.rotation.every must be a duration as "30m", "24h" or "30d", not "30 days"',
    ),
    ('every = "30d"', 'every = "5m"', "proxy.portal.rotation.every must be from 1h to 3650d"),
    ('every = "30d"', 'every = "30d"\ncron = "0 3 * * SUN"', "proxy.portal.rotation has both every and cron"),
    ('every = "30d"', 'cron = "whenever"', "proxy.portal.rotation.cron must be five cron fields"),
    (
        'every = "30d"',
        'every = "400d"\ncertificate_days = 100',
        "proxy.portal.rotation.certificate_days = 100 is too short",
    ),
    ('every = "30d"', "key_bits = 1024", "proxy.portal.rotation.key_bits must be 2048, 3072 or 4096, not 1024"),
    (
        'every = "30d"',
        'algorithm = "ES256"',
        'proxy.portal.rotation.algorithm must be "RS256", "RS384" or "RS512", not "ES256"',
    ),
    ('every = "30d"', 'strategy = "alternate"', 'proxy.portal.rotation.strategy = "alternate" is not built yet'),
    ('every = "30d"', 'overlap = "24h"', "proxy.portal.rotation.overlap belongs to something that is not built yet"),
    (
        'every = "30d"',
        "max_sessions = 0",
        "proxy.portal.rotation.max_sessions belongs to something that is not built yet",
    ),
    (
        'every = "30d"',
        "certificate_days = true",
        "proxy.portal.rotation.certificate_days must be a whole number, not a boolean",
    ),
    (
        'every = "30d"',
        "certificate_days = 1.5",
        "proxy.portal.rotation.certificate_days must be a whole number, not a float",
    ),
    ('every = "30d"', 'settle_timeout = "1s"', "proxy.portal.rotation.settle_timeout must be from 10s to 30m"),
    ("SUN 02:00", "SOL 02:00", '[0] has no day "SOL"'),
    ("Europe/Stockholm", "Mars/Olympus", '[0] has no time zone "Mars/Olympus"'),
    (
        "02:00-05:00",
        "02:00-02:01",
        "proxy.portal.rotation.window has a window of 1m, shorter than twice settle_timeout",
    ),
    ("02:00-05:00", "25:00-05:00", "[0] has no time 25:00"),
    ("02:00-05:00", "02:00-02:00", "[0] opens and closes at 02:00"),
    ('["SUN 02:00-05:00 Europe/Stockholm"]', '["any", "SUN 02:00-05:00 UTC"]', '[0] = "any" stands alone'),
    ('["SUN 02:00-05:00 Europe/Stockholm"]', "[]", "proxy.portal.rotation.window must name a window"),
    ('["SUN 02:00-05:00 Europe/Stockholm"]', '["sometimes"]', "[0] must be DAYS HH:MM-HH:MM ZONE"),
    (
        "[proxy.portal.rotation]",
        '[proxy.other]\nsite = "prod"\nprefix = "portal"\n[proxy.portal.rotation]',
        'proxy.other.prefix = "portal" is that of proxy.portal too',
    ),
    (
        "[proxy.portal.rotation]",
        '[proxy.other]\nsite = "prod"\nprefix = "o"\ndescription = "Portal"\n[proxy.portal.rotation]',
        'proxy.other.description = "Portal" is that of proxy.portal too',
    ),
    (
        "[proxy.portal.rotation]",
        '[proxy.other]\nsite = "prod"\nprefix = "o"\nsession_cookie = "x-qlik-session-PORTAL"\n[proxy.portal.rotation]',
        "proxy.other.session_cookie",
    ),
    ("[proxy.portal]", '[proxy."a b"]', 'proxy."a b" must be named with letters'),
]


def problems(tmp_path: Path, text: str) -> tuple[str, ...]:
    file = tmp_path / "rotator.toml"
    file.write_text(text, encoding="utf-8")
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert caught.value.exit_status == 78
    return caught.value.problems


@pytest.mark.parametrize(("old", "new", "said"), MISTAKES)
def test_a_mistake_is_told_with_its_place(tmp_path: Path, old: str, new: str, said: str) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert any(said in problem for problem in found), found
    assert all(problem.startswith(str(tmp_path / "rotator.toml")) for problem in found)


def test_all_mistakes_are_told_at_once_with_their_lines(tmp_path: Path) -> None:
    found = problems(
        tmp_path, GOOD.replace('prefix = "portal"', 'prefix = "Hub"').replace('every = "30d"', "every = 30")
    )
    lines = dict(enumerate(GOOD.splitlines(), start=1))
    prefix = next(number for number, line in lines.items() if line.startswith("prefix"))
    every = next(number for number, line in lines.items() if line.startswith("every"))
    assert [problem.split(": ")[0].rpartition(":")[2] for problem in found] == [str(prefix), str(every)]


def test_a_site_that_is_not_there_is_told_beside_all_other_mistakes(tmp_path: Path) -> None:
    changed = GOOD.replace('site = "prod"', 'site = "prd"').replace('prefix = "portal"', 'prefix = "Hub"')
    found = problems(tmp_path, changed.replace("https://qlik", "http://qlik").replace('every = "30d"', "every = 30"))
    assert len(found) == 4, found
    assert any('proxy.portal.site = "prd" is not configured; there is: prod' in problem for problem in found)


@pytest.mark.parametrize(
    ("added", "said", "hint"),
    [
        ("[keyring]\n", ": not TOML: Cannot declare [keyring] twice, at column 9", "once each"),
        ("[site.prod.certificate]\n", ": not TOML: Cannot declare [site.prod.certificate] twice", "once each"),
        ("x = {y = 1}\n[proxy.portal.rotation.x.z]\n", "Cannot declare [proxy.portal.rotation.x.z] twice", "once each"),
        ("a = 1\na = 2\n", ": not TOML: Cannot overwrite a value", "once each"),
        ("a = CORP\\x\n", ": not TOML: Invalid value", "in quotes"),
    ],
)
def test_what_is_no_toml_is_told_with_its_line(tmp_path: Path, added: str, said: str, hint: str) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(GOOD + added)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    line = len((GOOD + added).splitlines())
    assert caught.value.message.startswith(f"{file}:{line}: not TOML: "), caught.value.message
    assert said in caught.value.message
    assert hint in (caught.value.hint or "")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("[proxy", "not TOML"),
        ("", "keyring is missing"),
        ("keyring = 3", "keyring must be a table"),
        ("[site]\n[proxy]\n", "site has no table"),
    ],
)
def test_what_is_no_configuration_at_all(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(text)
    with pytest.raises(ConfigError) as caught:
        load(file, {})
    assert said in "\n".join((caught.value.message, *caught.value.problems))


def test_files_that_cannot_be_read(tmp_path: Path) -> None:
    for path, said in ((tmp_path / "none.toml", "No such file"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError, match=said):
            load(path, {})
    (tmp_path / "latin.toml").write_bytes(b"# \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load(tmp_path / "latin.toml", {})


@pytest.mark.parametrize("what", ["rotator", "rotator/rotator.toml"])
def test_a_configuration_that_everybody_can_change_is_refused(tmp_path: Path, what: str) -> None:
    file = tmp_path / "rotator" / "rotator.toml"
    file.parent.mkdir()
    file.touch()
    (tmp_path / what).chmod(0o777)
    with pytest.raises(ConfigError, match="everybody can change") as caught:
        find(file, {})
    assert caught.value.hint == f"chmod o-w {tmp_path / what}"
    (tmp_path / what).chmod(0o1777 if what == "rotator" else 0o664)
    assert find(file, {}) == file


def test_a_webhook_is_never_repeated(tmp_path: Path) -> None:
    for url in (
        "http://x.example.com/SECRET",
        "https://u@x.example.com/SECRET",
        "SECRET",
        "https:///SECRET",
        "kept:SECRET",
    ):
        (tmp_path / "rotator.toml").write_text(GOOD + f'[notify]\nwebhook = "{url}"\n')
        with pytest.raises(ConfigError) as caught:
            load(tmp_path / "rotator.toml", {})
        assert "SECRET" not in str(caught.value.problems)


JSON = st.recursive(
    st.booleans() | st.integers(-9, 9) | st.text("ab[]:/'é", max_size=6),
    lambda inner: st.lists(inner, max_size=3),
    max_leaves=6,
)


KEYS = st.sampled_from(
    ["backend", "path", "qrs", "auth", "prefix", "site", "window", "every", "attributes", "user", "connect", "zzz"]
)


@given(
    key=KEYS,
    value=JSON,
    table=st.sampled_from(
        [
            "keyring",
            "state",
            "site.prod",
            "site.prod.certificate",
            "proxy.portal",
            "proxy.portal.rotation",
            "site.prod.probe",
        ]
    ),
)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_whatever_stands_in_the_file_nothing_but_a_configuration_error_comes_out(
    tmp_path: Path, key: str, value: object, table: str
) -> None:
    import json

    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} =")]
    lines.insert(lines.index(f"[{table}]") + 1, f"{key} = {json.dumps(value, ensure_ascii=False)}")
    file = tmp_path / "rotator.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    try:
        load(file, {})
    except ConfigError as error:
        assert error.problems
        assert any(key in problem for problem in error.problems)
