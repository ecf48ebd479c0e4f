"""What the user may do, told by init and by doctor before create-proxy would find out."""

from pathlib import Path

from first_configuration import flags, init, target
from sandbox_process import Ended, Sandbox


KINDS = ("VirtualProxyConfig", "ProxyService", "ServerNodeConfiguration")
READ, UPDATE, CREATE = 2, 4, 1


def grant(site: Sandbox, actions: int, *resources: str) -> None:
    """A security rule for the user CORP\\rotator."""
    body = {
        "name": f"{actions} {resources}",
        "rule": '((user.userDirectory="CORP" and user.userId="rotator"))',
        "resourceFilter": ",".join(resources),
        "actions": actions,
    }
    site.qrs("POST", "/qrs/systemrule", body)


def readable(site: Sandbox) -> None:
    grant(site, READ, *(f"{kind}_*" for kind in KINDS))


def configured(site: Sandbox, *more: str, **changes: str) -> Ended:
    return init(site, *flags(site, user=r"CORP\rotator", **changes), *more)


def healths(site: Sandbox, config: Path) -> dict[str, tuple[str, str]]:
    """Health and message of each finding about rights, by what it is about."""
    rows = site.rotator("doctor", "--json", config=config).json["results"]
    return {row["name"]: (row["health"], row["message"]) for row in rows if row["reason"] == "rights"}


def test_a_user_who_may_only_read_is_told_before_create_proxy_fails(site: Sandbox) -> None:
    readable(site)
    ended = configured(site)
    assert ended.status == 0, ended.err
    assert "rotator: rights: sees 1 virtual proxy, 2 proxies, 2 nodes, and may only read them" in ended.err
    lacks = "lacks Create on VirtualProxyConfig_*, Update on VirtualProxyConfig_*, Update on ProxyService_*"
    assert lacks in ended.err
    assert "rotator: hint: with a client certificate use the user INTERNAL\\sa_api" in ended.err
    assert f"is written, but the user may not create this virtual proxy and link it: it {lacks}" in ended.out
    assert "all of it was tried" not in ended.out
    found = healths(site, target(site))
    assert {health for health, _ in found.values()} == {"warning"}
    assert lacks in found["portal"][1]
    refused = site.rotator("create-proxy", "--yes", config=target(site))
    assert (refused.status, "403" in refused.err) == (1, True), refused.err


def test_with_every_right_all_of_it_was_tried(site: Sandbox) -> None:
    readable(site)
    grant(site, CREATE | UPDATE, "VirtualProxyConfig_*")
    grant(site, UPDATE, "ProxyService_*")
    ended = configured(site)
    assert ended.status == 0, ended.err
    assert "rotator: rights: the user may create this virtual proxy and link it" in ended.err
    assert "is written and all of it was tried" in ended.out
    assert site.rotator("create-proxy", "--yes", config=target(site)).status == 0
    assert {health for health, _ in healths(site, target(site)).values()} == {"ok"}


def test_of_a_virtual_proxy_that_is_there_its_own_update_counts(site: Sandbox) -> None:
    assert site.rotator("create-proxy", "--yes").status == 0
    found = site.rotator("status", "--json").result["proxy_id"]
    readable(site)
    ended = configured(site, "--json")
    assert (ended.status, ended.result["hint"] is None) == (0, False)
    assert f"it lacks Update on VirtualProxyConfig_{found}" in ended.result["message"]
    grant(site, UPDATE, f"VirtualProxyConfig_{found}")
    config = target(site)
    config.unlink()
    (config.parent / "master.key").unlink()
    assert "all of it was tried" in configured(site).out
    assert healths(site, config)["portal"] == ("ok", "the user may change this virtual proxy")


def test_a_server_that_does_not_tell_is_no_obstacle(site: Sandbox) -> None:
    site.control("POST", "/unknowns", "privileges=no")
    ended = init(site, *flags(site))
    assert ended.status == 0, ended.err
    untold = "what the user may change could not be asked: this server does not tell"
    assert f"is written, but {untold}" in ended.out
    assert healths(site, target(site))["portal"] == ("warning", untold)
    assert site.rotator("create-proxy", "--yes", config=target(site)).status == 0
