"""Every mistake has its message: the place, the cause, and what would be right."""

import json
from pathlib import Path

import pytest
from good_config import GOOD
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from mistakes import MISTAKES

from rotator.config import load
from rotator.errors import ConfigError


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


MANDATORY = 'attributes = [{ claim = "team", sense = "group", mandatory = true }]'


@pytest.mark.parametrize(
    ("old", "new", "said"),
    [
        (
            'user_id_claim = "userId"',
            'user_id_claim = 3\nconsumers = "hook"\n' + MANDATORY,
            ["user_id_claim must be", 'test_claims must hold "team"', "hook is missing"],
        ),
        (
            "[proxy.portal.rotation]",
            '[proxy.other]\nsite = "prod"\nprefix = "portal"\nsession_cookie = "a b"\n[proxy.portal.rotation]',
            ["proxy.other.session_cookie must", 'proxy.other.prefix = "portal" is that of proxy.portal too'],
        ),
        (
            '"rim3.example.com" = { skip = true }',
            '"rim3" = { connect = "nowhere:x", skip = true }',
            ["probe.rim3.connect", "both skips the proxy and says how it is reached"],
        ),
    ],
    ids=["claims", "names", "probe"],
)
def test_a_mistake_hides_no_other(tmp_path: Path, old: str, new: str, said: list[str]) -> None:
    assert old in GOOD
    found = problems(tmp_path, GOOD.replace(old, new, 1))
    assert [any(part in problem for problem in found) for part in said] == [True] * len(said), found
    assert len(found) == len(said)


def test_under_a_jwt_the_virtual_proxy_that_leads_to_qrs_has_a_table(tmp_path: Path) -> None:
    jwt = 'auth = "jwt"\n[site.prod.jwt]\nurl = "https://qlik.example.com/Rotator/"\nuser = \'SVC\\rotator\''
    changed = GOOD.replace('auth = "certificate"', jwt)
    line = 1 + next(number for number, text in enumerate(changed.splitlines()) if text.startswith("url = "))
    said = f'{tmp_path}/rotator.toml:{line}: site.prod.jwt.url leads through the virtual proxy "rotator" of this site, which'
    assert [problem[: len(said)] for problem in problems(tmp_path, changed)] == [said]
    for site, prefix in (("other", "rotator"), ("prod", "elsewhere")):
        table = f'\n[proxy.access]\nsite = "{site}"\nprefix = "{prefix}"\n'
        assert said in [problem[: len(said)] for problem in problems(tmp_path, changed + table)]
    (tmp_path / "rotator.toml").write_text(changed + '\n[proxy.access]\nsite = "prod"\nprefix = "rotator"\n')
    assert load(tmp_path / "rotator.toml", {}).sites["prod"].jwt is not None
    # A mistake elsewhere in its table does not make it one that is not there.
    both = changed + '\n[proxy.access]\nsite = "prod"\nprefix = "rotator"\naudience = 3\n'
    assert len(problems(tmp_path, both)) == 1


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
    lines = [line for line in GOOD.splitlines() if not line.startswith(f"{key} =")]
    lines.insert(lines.index(f"[{table}]") + 1, f"{key} = {json.dumps(value, ensure_ascii=False)}")
    file = tmp_path / "rotator.toml"
    file.write_text("\n".join(lines), encoding="utf-8")
    try:
        load(file, {})
    except ConfigError as error:
        assert error.problems
        assert any(key in problem for problem in error.problems)
