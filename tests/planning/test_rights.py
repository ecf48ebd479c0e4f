"""Which rights are missing, from what the server tells."""

from rotator.model import Privileges
from rotator.planning.rights import lacking, only_reads


READ, ALL = frozenset({"read"}), frozenset({"create", "read", "update", "delete"})


def test_to_change_a_virtual_proxy_its_own_privileges_count() -> None:
    told = Privileges({"own": READ | {"update"}, "other": READ}, {"p": READ})
    assert lacking(told, "own") == ()
    assert lacking(told, "other") == ("Update on VirtualProxyConfig_other",)
    assert lacking(told, "unseen") is None


def test_to_create_one_it_takes_more() -> None:
    assert lacking(Privileges({"v": ALL}, {"p": ALL, "q": ALL}), None) == ()
    assert lacking(Privileges({"v": ALL}, {"p": ALL, "q": READ}), None) == ("Update on ProxyService_*",)
    assert lacking(Privileges({"v": READ, "w": READ | {"update"}}, {"p": ALL}), None) == (
        "Create on VirtualProxyConfig_*",
    )
    assert lacking(Privileges({"v": READ}, {"p": READ}), None) == (
        "Create on VirtualProxyConfig_*",
        "Update on VirtualProxyConfig_*",
        "Update on ProxyService_*",
    )


def test_what_is_not_told_is_not_known() -> None:
    assert lacking(Privileges({"v": None}, {"p": ALL}), None) is None
    assert lacking(Privileges({"v": None}, {"p": ALL}), "v") is None
    assert lacking(Privileges({"v": ALL}, {"p": ALL, "q": None}), None) is None
    assert lacking(Privileges({}, {}), None) is None


def test_who_may_only_read() -> None:
    assert only_reads(Privileges({"v": READ, "w": READ}, {"p": ALL}))
    assert not only_reads(Privileges({"v": READ, "w": READ | {"update"}}, {"p": READ}))
    assert not only_reads(Privileges({"v": READ | {"create"}}, {}))
    assert not only_reads(Privileges({"v": None}, {"p": None}))
