"""What a good file means, and what holds where nothing is said."""

import sys
from pathlib import Path

import pytest
from good_config import GOOD
from hypothesis import given
from hypothesis import strategies as st

from rotator import invocation
from rotator.config import duration_of, find, load
from rotator.errors import ConfigError
from rotator.model import AnyTime, ProxySpec


def test_a_good_file_means_what_it_says(tmp_path: Path) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(GOOD)
    config = load(file, {})
    spec = config.proxies["portal"]
    assert config.state == tmp_path / "state"
    assert config.sites["prod"].probe["rim3.example.com"].skip
    assert config.sites["prod"].probe["rim2.example.com"].connect == ("rim2.internal", 443)
    assert (spec.session_cookie, spec.description, str(spec.test_user)) == (
        "X-Qlik-Session-portal",
        "portal",
        r"ROTATOR\probe",
    )
    assert "description" not in spec.named
    assert not isinstance(spec.rotation.windows, AnyTime)


def test_a_constant_directory_is_the_test_users(tmp_path: Path) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(GOOD.replace('"userDirectory"', '"[CORP]"'))
    spec: ProxySpec = load(file, {}).proxies["portal"]
    assert str(spec.test_user) == r"CORP\probe"


def test_what_can_be_read_of_a_wrong_file_says_who_is_told(tmp_path: Path) -> None:
    from rotator.config import telling

    file = tmp_path / "rotator.toml"
    good = GOOD.replace('auth = "certificate"', "auth = 3")
    file.write_text(
        good + '[notify]\nhooks = "hooks.d"\nmail = ["ops@example.com", 3]\n[metrics]\ntextfile = "a.prom"\n'
    )
    found = telling(file, {})
    assert found is not None
    assert (found.state, found.textfile) == (tmp_path / "state", tmp_path / "a.prom")
    assert (found.notify.hooks, found.notify.mail) == (tmp_path / "hooks.d", ())
    file.write_text("[notify\n")
    assert telling(file, {}) is None


def test_where_the_file_is_looked_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    assert find(Path("given"), {"ROTATOR_CONFIG": "other"}) == Path("given")
    assert find(None, {"ROTATOR_CONFIG": "other"}) == Path("other")
    user = tmp_path / "rotator" / "rotator.toml"
    with pytest.raises(ConfigError, match="/etc/rotator"):
        find(None, {"XDG_CONFIG_HOME": str(tmp_path)})
    user.parent.mkdir()
    user.touch()
    assert find(None, {"XDG_CONFIG_HOME": str(tmp_path)}) == user


@pytest.mark.parametrize(
    ("words", "named", "said"),
    [
        (("status",), "/a b/c.toml", "--config '/a b/c.toml' status"),
        (("--config", "d.toml", "status"), "/a/c.toml", "--config d.toml status"),
        (("--config=d.toml", "status"), "/a/c.toml", "--config=d.toml status"),
        (("status",), "", "rotator status"),
    ],
)
def test_a_command_for_another_account_names_the_file_that_the_environment_does(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, words: tuple[str, ...], named: str, said: str
) -> None:
    """sudo and systemd-run begin with an environment of their own."""
    monkeypatch.setattr(invocation, "SHELL", tmp_path / "none")
    monkeypatch.setattr(sys, "argv", ["/opt/rotator", *words])
    monkeypatch.setenv("ROTATOR_CONFIG", named)
    for command in (invocation.as_account("rotator"), invocation.with_credential("x")):
        assert command.endswith(f"/opt/{said}" if said.startswith("rotator") else f"/opt/rotator {said}"), command
    shell = tmp_path / "rotator"
    shell.touch()
    monkeypatch.setattr(invocation, "SHELL", shell)
    assert invocation.as_account("rotator") == f"{shell} {said.removeprefix('rotator ')}"


def test_the_state_directory_is_systemds_when_nothing_is_said(tmp_path: Path) -> None:
    file = tmp_path / "rotator.toml"
    file.write_text(GOOD.replace('path = "state"', ""))
    assert load(file, {"STATE_DIRECTORY": "/var/lib/rotator:/var/lib/other"}).state == Path("/var/lib/rotator")


@given(st.integers(1, 10**6), st.sampled_from("smhdw"))
def test_durations_are_what_they_say(number: int, unit: str) -> None:
    found = duration_of(f"{number}{unit}")
    assert found is not None
    assert found.total_seconds() == number * {"s": 1, "m": 60, "h": 3600, "d": 86400, "w": 604800}[unit]
