"""The stand-in's QRS behaves as the facts say: who may ask, what is found, what is changed and refused."""

import ssl
import urllib.error
import urllib.parse
import urllib.request

import pytest
from plain_client import XRF, Client, created
from sandbox_process import Sandbox
from waiting import eventually


def test_who_may_ask_qrs(sandbox: Sandbox) -> None:
    assert Client(sandbox).qrs("GET", "about")[0] == 200
    assert Client(sandbox, certificate=None).qrs("GET", "about") == (403, "Forbidden")
    assert Client(sandbox, user="").qrs("GET", "about") == (403, "Forbidden")
    with pytest.raises((ssl.SSLError, urllib.error.URLError, ConnectionError)):
        Client(sandbox, certificate="stranger").qrs("GET", "about")


@pytest.mark.parametrize(
    ("query", "header"), [("short", "short"), (XRF, "fedcba9876543210"), (XRF[:-1] + "-", XRF[:-1] + "-"), (XRF, "")]
)
def test_xrf_keys(sandbox: Sandbox, query: str, header: str) -> None:
    said = Client(sandbox).qrs("GET", "about", xrf=query, key=header)
    assert said == (403, "XSRF prevention check failed. Possible XSRF discovered.")


def test_filters(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    created(client, description="it's")

    def found(expression: str) -> object:
        status, answer = client.qrs("GET", "virtualproxyconfig", query="&filter=" + urllib.parse.quote(expression))
        return len(answer) if status == 200 else (status, answer)

    for expression, count in {
        "prefix eq 'jwt'": 1,
        "Prefix eq 'JWT'": 0,
        "prefix ne 'jwt'": 1,
        "(prefix so 'w' and defaultVirtualProxy eq false)": 1,
        "prefix sw 'j' or prefix ew 't'": 1,
        r"description eq 'it\'s'": 1,
        "sessionInactivityTimeout ge 30 and sessionInactivityTimeout lt 31": 2,
        "loadBalancingServerNodes.hostName so 'rim'": 1,
        "defaultVirtualProxy eq true": 1,
    }.items():
        assert found(expression) == count, expression
    for wrong in ("prefix eq 'jwt", "prefix", "eq 'x'", "prefix eq", "nosuch eq 'x'", "(prefix eq 'x'"):
        assert found(wrong) == (400, f"Cannot parse the expression: {wrong}")
    assert client.qrs("GET", "virtualproxyconfig", query="&filter=prefix%20eq%20'a'&b")[0:2] == (
        400,
        "Missing parameter value(s)",
    )
    assert client.qrs("GET", "virtualproxyconfig/count")[1] == {"value": 2}


def test_entities_are_replaced_whole(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = created(client)
    path = f"virtualproxyconfig/{entity['id']}"
    whole = client.qrs("GET", path)[1]
    condensed = client.qrs("GET", "virtualproxyconfig")[1][1]
    assert {"modifiedDate", "createdDate", "schemaPath", "customProperties"} <= set(whole) - set(condensed)
    stale = {**whole, "modifiedDate": "2000-01-01T00:00:00.000Z"}
    assert client.qrs("PUT", path, stale)[0] == 409
    assert client.qrs("PUT", path, {key: value for key, value in whole.items() if key != "modifiedDate"})[0] == 409
    assert client.qrs("PUT", path, {**whole, "id": "other"})[0] == 400
    assert client.qrs("PUT", path, {**whole, "sessionInactivityTimeout": "30"})[0] == 400
    assert client.qrs("PUT", path, {**whole, "tags": None})[0] == 500
    assert client.qrs("PUT", path, b"{")[0] == 400
    assert (
        client.qrs(
            "PUT", path, {**whole, "loadBalancingServerNodes": [{"id": "00000000-0000-0000-0000-000000000000"}]}
        )[0]
        == 400
    )
    less = {key: value for key, value in whole.items() if key != "sessionInactivityTimeout"}
    status, after = client.qrs("PUT", path, {**less, "description": "new"})
    assert (status, after["sessionInactivityTimeout"], after["description"]) == (200, 30, "new")
    assert after["modifiedDate"] > whole["modifiedDate"]
    assert client.qrs("GET", "about/api/default/virtualproxyconfig")[1]["sessionInactivityTimeout"] == 30
    assert client.qrs("DELETE", path)[0] == 204
    assert client.qrs("GET", path)[0] == 404
    default = client.qrs("GET", "virtualproxyconfig")[1][0]["id"]
    assert client.qrs("DELETE", f"virtualproxyconfig/{default}")[0] == 400


@pytest.mark.parametrize(
    "fields",
    [
        {"prefix": "JWT"},
        {"prefix": "other", "sessionCookieHeaderName": "x-qlik-session-JWT"},
        {"prefix": "hub"},
        {"prefix": "a/b"},
        {"prefix": "o", "sessionCookieHeaderName": ""},
    ],
)
def test_what_cannot_be_created(sandbox: Sandbox, fields: dict[str, str]) -> None:
    client = Client(sandbox)
    created(client)
    body = {"prefix": "other", "description": "other", "sessionCookieHeaderName": "other", **fields}
    assert client.qrs("POST", "virtualproxyconfig", body)[0] == 400


def test_links_by_the_qmcs_bulk_edit(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = client.qrs("POST", "virtualproxyconfig", {"prefix": "jwt", "sessionCookieHeaderName": "c"})[1]
    proxy = client.qrs("GET", "proxyservice/full")[1][0]
    selection = client.qrs("POST", "selection", {"items": [{"type": "ProxyService", "objectID": proxy["id"]}]})[1]["id"]
    change = {"name": "refList_VirtualProxyConfig", "value": {"added": [entity["id"]], "removed": []}}
    body = {"children": [{"name": "settings", "properties": [change]}], "latestModifiedDate": proxy["modifiedDate"]}
    assert client.qrs("PUT", f"selection/{selection}/ProxyService/synthetic", body)[0] == 204
    assert client.qrs("PUT", f"selection/{selection}/ProxyService/synthetic", body)[0] == 409
    linked = client.qrs("GET", f"proxyservice/{proxy['id']}")[1]["settings"]["virtualProxies"]
    assert len(linked) == 2
    assert client.qrs("DELETE", f"selection/{selection}")[0] == 204


def test_rules_show_a_service_user_little(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = created(client)
    few = Client(sandbox, user="UserDirectory=SVC; UserId=rotator")
    assert few.qrs("GET", "virtualproxyconfig")[1] == []
    assert few.qrs("GET", f"virtualproxyconfig/{entity['id']}")[0] == 403
    rule = {
        "rule": '((user.userDirectory="SVC" and user.userId="rotator"))',
        "resourceFilter": f"VirtualProxyConfig_{entity['id']}",
        "actions": 6,
    }
    assert client.qrs("POST", "systemrule", {"name": "r", **rule})[0] == 201
    seen = few.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]
    assert seen["loadBalancingServerNodes"] == []
    assert few.qrs("DELETE", f"virtualproxyconfig/{entity['id']}")[0] == 403


def test_privileges_are_those_of_the_rules_and_filled_on_demand_alone(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = created(client)
    one, every = f"virtualproxyconfig/{entity['id']}", ["create", "read", "update", "delete"]
    assert client.qrs("GET", one)[1]["privileges"] is None
    assert client.qrs("GET", one, query="&privileges=true")[1]["privileges"] == every
    rule = {"rule": '((user.userDirectory="SVC" and user.userId="rotator"))', "resourceFilter": "VirtualProxyConfig_*"}
    assert client.qrs("POST", "systemrule", {"name": "r", **rule, "actions": 2})[0] == 201
    own = {**rule, "resourceFilter": f"VirtualProxyConfig_{entity['id']}"}
    assert client.qrs("POST", "systemrule", {"name": "w", **own, "actions": 4})[0] == 201
    few = Client(sandbox, user="UserDirectory=SVC; UserId=rotator")
    listed = few.qrs("GET", "virtualproxyconfig/full", query="&privileges=true")[1]
    assert {item["prefix"]: item["privileges"] for item in listed} == {"": ["read"], "jwt": ["read", "update"]}
    sandbox.control("POST", "/unknowns", "privileges=no")
    assert few.qrs("GET", one, query="&privileges=true")[1]["privileges"] is None


def test_a_late_put_is_applied_after_its_answer_was_lost(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = created(client)
    sandbox.fault("late=0.2@qrs:PUT")
    with pytest.raises((urllib.error.URLError, ConnectionError)):
        client.qrs("PUT", f"virtualproxyconfig/{entity['id']}", {**entity, "description": "late"})
    path = f"virtualproxyconfig/{entity['id']}"
    eventually("the change came", lambda: client.qrs("GET", path)[1]["description"] == "late")


def test_a_tag_that_is_deleted_goes_from_its_virtual_proxies(sandbox: Sandbox) -> None:
    client = Client(sandbox)
    entity = created(client)
    tag = client.qrs("POST", "tag", {"name": "t"})[1]
    client.qrs("PUT", f"virtualproxyconfig/{entity['id']}", {**entity, "tags": [{"id": tag["id"]}]})
    assert client.qrs("DELETE", f"tag/{tag['id']}")[0] == 204
    assert client.qrs("GET", f"virtualproxyconfig/{entity['id']}")[1]["tags"] == []
