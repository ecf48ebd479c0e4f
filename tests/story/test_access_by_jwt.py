"""The least-privileged way: QRS through a virtual proxy, as a service user who may do little."""

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from sandbox_process import Sandbox

from rotator.cli.keyring import Keyring
from rotator.config import load
from rotator.model import Stage


def rule(sandbox: Sandbox, resources: str, actions: int) -> None:
    body = {
        "name": resources,
        "rule": '((user.userDirectory="SVC" and user.userId="rotator"))',
        "resourceFilter": resources,
        "actions": actions,
    }
    sandbox.qrs("POST", "/qrs/systemrule", body)


@pytest.fixture
def access(portal: Sandbox) -> tuple[Sandbox, Path]:
    """A second virtual proxy that leads to QRS, and a configuration that goes through it."""
    portal.config.write_text(
        portal.config.read_text()
        + '\n[proxy.access]\nsite = "sandbox"\nprefix = "rotator"\n[proxy.access.rotation]\nkey_bits = 2048\nwindow = ["any"]\nsettle_timeout = "10s"\n'
    )
    assert portal.rotator("create-proxy", "access", "--yes").status == 0
    through = portal.folder / "jwt.toml"
    url = portal.ready["proxies"][0]["url"]
    text = portal.config.read_text().replace(
        'auth = "certificate"', f'auth = "jwt"\n[site.sandbox.jwt]\nurl = "{url}/rotator"\nuser = \'SVC\\rotator\'', 1
    )
    through.write_text(text)
    return portal, through


def proxy_id(sandbox: Sandbox, name: str = "portal") -> str:
    found: Any = sandbox.rotator("status", name, "--json").result["proxy_id"]
    return str(found)


def grant_all(sandbox: Sandbox) -> None:
    rule(sandbox, "VirtualProxyConfig_*", 6)
    rule(sandbox, "ProxyService_*", 2)
    rule(sandbox, "ServerNodeConfiguration_*", 2)


def grant(sandbox: Sandbox, *, nodes: bool = True) -> None:
    rule(sandbox, f"VirtualProxyConfig_{proxy_id(sandbox)}", 6)
    rule(sandbox, "ProxyService_*", 2)
    if nodes:
        rule(sandbox, "ServerNodeConfiguration_*", 2)


def test_a_service_user_with_few_rights_rotates(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant(sandbox)
    sandbox.forget_requests()
    for command in (
        ("verify", "portal"),
        ("rotate", "portal", "--now"),
        ("status", "portal"),
        ("create-proxy", "portal", "--yes"),
    ):
        ended = sandbox.rotator(*command, config=through)
        assert ended.status == 0, (command, ended.err)
    assert sandbox.requests("qrs") == []
    assert sandbox.control("GET", "/sessions") == []


def test_a_virtual_proxy_that_the_service_user_may_not_read_is_not_called_deleted(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant(sandbox)
    commands = (("status",), ("verify",), ("rotate", "--all"), ("create-proxy", "access", "--plan"))
    for answer in ("404", "403"):
        sandbox.control("POST", "/unknowns", f"forbidden-id={answer}")
        for command in commands:
            ended = sandbox.rotator(*command, config=through)
            assert (ended.status, "create it again" in ended.err) == (1, False), (command, ended.err)
            assert f"give it Read on VirtualProxyConfig_{proxy_id(sandbox, 'access')}" in ended.err
    rule(sandbox, f"VirtualProxyConfig_{proxy_id(sandbox, 'access')}", 2)
    for command in (*commands, ("keys", "prune"), ("doctor",)):
        ended = sandbox.rotator(*command, config=through)
        assert ended.status == 0, (command, ended.err)


def test_lists_that_the_service_user_does_not_see_are_not_erased(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant(sandbox, nodes=False)
    ended = sandbox.rotator("rotate", "portal", "--now", config=through)
    assert ended.status == 1
    assert "does not see 2 load balancing nodes" in ended.err
    assert sandbox.rotator("verify", "portal").status == 0


def test_without_a_table_for_the_way_it_is_no_configuration(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    through.write_text(through.read_text().replace('prefix = "rotator"', 'prefix = "another"'))
    for command, status in ((("verify", "portal"), 78), (("status",), 78), (("due",), 255)):
        ended = sandbox.rotator(*command, config=through)
        assert (ended.status, ended.out) == (status, "")
        assert ": site.sandbox.jwt.url leads through the virtual proxy " in ended.err


def test_the_way_itself_is_not_changed(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant_all(sandbox)
    ended = sandbox.rotator("rotate", "access", "--now", config=through)
    assert ended.status == 1
    assert "QRS is reached through this very virtual proxy" in ended.err
    assert sandbox.rotator("rotate", "access", "--now").status == 0
    assert sandbox.rotator("verify", "portal", config=through).status == 0


def test_links_are_added_by_the_bulk_edit_alone(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    rule(sandbox, "VirtualProxyConfig_*", 7)
    rule(sandbox, "ProxyService_*", 6)
    rule(sandbox, "ServerNodeConfiguration_*", 2)
    through.write_text(
        through.read_text()
        + '\n[proxy.extra]\nsite = "sandbox"\nprefix = "extra"\n[proxy.extra.rotation]\nkey_bits = 2048\n'
    )
    sandbox.forget_requests()
    ended = sandbox.rotator("create-proxy", "extra", "--yes", config=through)
    assert ended.status == 0, ended.err
    puts = [entry["path"] for entry in sandbox.requests("proxy", "PUT")]
    assert len(puts) == 2
    assert all("/qrs/selection/" in path for path in puts)
    assert sandbox.rotator("rotate", "extra", "--now", config=through).status == 0


def test_the_proxy_that_leads_to_qrs_restarts_in_the_middle(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant(sandbox)
    for answer in ("open-request=cut", "open-request=finished"):
        sandbox.control("POST", "/unknowns", answer)
        sandbox.control("POST", "/delay", [0.2, 0.6])
        ended = sandbox.rotator("rotate", "portal", "--now", config=through)
        assert ended.status == 0, ended.err
        sandbox.control("GET", "/idle")
        assert sandbox.rotator("verify", "portal", config=through).status == 0


def test_a_session_that_cannot_be_logged_out_is_no_failure(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant(sandbox)
    sandbox.forget_requests()
    sandbox.fault("reset@proxy:DELETE#*")
    ended = sandbox.rotator("status", "portal", config=through)
    assert (ended.status, ended.err) == (0, "")
    assert [entry["path"] for entry in sandbox.requests("proxy", "DELETE")] == ["/rotator/qps/user"]


@pytest.mark.parametrize(
    ("demand", "seconds"),
    [
        ('audience = "qlik"', 0),
        ('attributes = [{ claim = "team", sense = "group", mandatory = true }]\ntest_claims = { team = "ops" }', 0),
        ("", 400),
        ("", -400),
    ],
    ids=["audience", "mandatory attribute", "a clock ahead", "a clock behind"],
)
def test_tokens_for_the_way_have_what_its_virtual_proxy_demands(
    access: tuple[Sandbox, Path], demand: str, seconds: float
) -> None:
    sandbox, through = access
    grant(sandbox)
    for config in (sandbox.config, through):
        config.write_text(config.read_text().replace('prefix = "rotator"', f'prefix = "rotator"\n{demand}'))
    assert sandbox.rotator("create-proxy", "access", "--yes").status == 0
    sandbox.control("POST", "/clock", seconds)
    for command in (("verify", "portal"), ("rotate", "portal", "--now"), ("doctor", "portal")):
        ended = sandbox.rotator(*command, config=through)
        assert ended.status == 0, (command, ended.out, ended.err)


KILLED = "import os; from rotator import steps; steps.test = lambda *_: os._exit(9); from rotator.__main__ import main; main()"
"""A run that dies when the server has the new certificate."""


def test_a_change_of_the_way_that_was_cut_short_leaves_it_open(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant_all(sandbox)
    cut = subprocess.run(
        (sys.executable, "-c", KILLED, "--config", str(sandbox.config), "rotate", "access", "--now"), timeout=60
    )
    assert cut.returncode == 9
    for command in (("rotate", "portal", "--now"), ("token", "access", "--user", r"SVC\rotator")):
        ended = sandbox.rotator(*command, config=through)
        assert ended.status == 0, ended.err
    assert "a change is under way" in sandbox.rotator("status", config=through).out
    assert sandbox.rotator("rotate", "access").status == 0
    assert sandbox.rotator("verify", config=through).status == 0


def test_the_way_may_be_rotated_in_the_middle_of_a_run(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    grant_all(sandbox)
    extra = '\n[proxy.extra]\nsite = "sandbox"\nprefix = "extra"\n[proxy.extra.rotation]\nkey_bits = 2048\n'
    direct = sandbox.config.read_text()
    sandbox.config.write_text(direct + extra)
    assert sandbox.rotator("create-proxy", "extra", "--yes").status == 0
    table = direct[direct.index("[site.sandbox]") : direct.index("[proxy.")].replace("site.sandbox", "site.direct")
    way = direct[direct.index("[proxy.access]") :].replace("proxy.access", "proxy.way").replace('"sandbox"', '"direct"')
    through.write_text(through.read_text() + extra + table + way)
    # Its session is cut, and the key that it was opened with is refused from then on.
    ended = sandbox.rotator("rotate", "portal", "way", "extra", "--now", config=through)
    assert ended.status == 0, ended.err


def test_a_lost_key_of_the_way_is_told_as_what_it_is(access: tuple[Sandbox, Path]) -> None:
    sandbox, through = access
    config = load(sandbox.config, os.environ)
    keyring = Keyring(config)
    items = keyring.keystore(config.proxies["access"])
    current = items.ring().at(Stage.CURRENT)
    assert current is not None
    keyring.store.delete(items.key_name(current))
    for command in (("rotate", "portal", "--now"), ("recover", "access")):
        ended = sandbox.rotator(*command, config=through)
        assert ended.status == 1
        assert "the virtual proxy 'rotator' leads to QRS, and the current key " in ended.err
        assert 'under auth = "certificate", rotator recover access says what can be done' in ended.err
    assert "rotator recover access --replace-lost-key" in sandbox.rotator("recover", "access").err
