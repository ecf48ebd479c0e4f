"""create-proxy field by field: what the configuration names is managed, everything else is left as it is."""

import pytest
from values import NODES, key, observed, ring, spec

from rotator.errors import Refused
from rotator.model import Attribute, Json, Node
from rotator.planning.provisioning import Change, Surroundings, plan
from rotator.planning.recovery import Finding, Found, Step, Way


SETTLED = Found(Finding.SETTLED, Way.NONE, Step.CREATE)
G = {"id": "m1", "jwtAttribute": "g", "senseAttribute": "group", "isMandatory": False}


def changes(entity: dict[str, Json], **desired: object) -> dict[str, Json]:
    """What would be changed of a virtual proxy, by field."""
    made = spec(named=frozenset(desired), **desired)
    seen = observed("a", entity={"loadBalancingServerNodes": [{"id": "n1"}], **entity})
    found = plan(made, ring(key("a")), seen, Surroundings((), (), NODES), SETTLED).changes
    assert found == tuple(Change(change.field, seen.entity.get(change.field), change.after) for change in found)
    return {change.field: change.after for change in found}


@pytest.mark.parametrize(
    ("entity", "desired", "expected"),
    [
        ({}, {}, {}),
        ({}, {"nodes": ("*",)}, {"loadBalancingServerNodes": [{"id": "n1"}, {"id": "n2"}]}),
        ({}, {"nodes": ("CENTRAL",)}, {}),
        (
            {"loadBalancingServerNodes": [{"id": {}}, {"id": ["n2"]}, {"id": "n1"}, {}, None]},
            {"nodes": ("*",)},
            {"loadBalancingServerNodes": [{"id": {}}, {"id": ["n2"]}, {"id": "n1"}, {}, None, {"id": "n2"}]},
        ),
        ({"loadBalancingServerNodes": []}, {}, {"loadBalancingServerNodes": [{"id": "n1"}, {"id": "n2"}]}),
        ({"loadBalancingServerNodes": None}, {}, {"loadBalancingServerNodes": [{"id": "n1"}, {"id": "n2"}]}),
        ({}, {"host_allow_list": ("a", "b")}, {"websocketCrossOriginWhiteList": ["a", "b"]}),
        (
            {"websocketCrossOriginWhiteList": ["A", "x"]},
            {"host_allow_list": ("a", "b")},
            {"websocketCrossOriginWhiteList": ["A", "x", "b"]},
        ),
        ({"websocketCrossOriginWhiteList": ["A", "x"]}, {"host_allow_list": ("a",)}, {}),
        (
            {"additionalResponseHeaders": "X-A: 0\r\nX-F: 1"},
            {"additional_response_headers": ("x-a: 2", "X-B: 3")},
            {"additionalResponseHeaders": "x-a: 2\nX-F: 1\nX-B: 3"},
        ),
        ({"additionalResponseHeaders": "X-F: 1\r\nX-A: 2"}, {"additional_response_headers": ("X-A: 2",)}, {}),
        ({"additionalResponseHeaders": None}, {"additional_response_headers": ()}, {}),
        ({"additionalResponseHeaders": {"X-B": 3}}, {"additional_response_headers": ()}, {}),
        (
            {"additionalResponseHeaders": None},
            {"additional_response_headers": ("X-B: 3",)},
            {"additionalResponseHeaders": "X-B: 3"},
        ),
        ({"jwtAttributeMap": [{**G}]}, {"attributes": (Attribute("g", "group"),)}, {}),
        (
            {"jwtAttributeMap": [{**G}]},
            {"attributes": (Attribute("g", "group", mandatory=True), Attribute("h", "team"))},
            {
                "jwtAttributeMap": [
                    {**G, "isMandatory": True},
                    {"senseAttribute": "team", "jwtAttribute": "h", "isMandatory": False},
                ]
            },
        ),
        (
            {"jwtAttributeMap": ["?", {"jwtAttribute": "g", "senseAttribute": "group"}]},
            {"attributes": (Attribute("g", "group"),)},
            {"jwtAttributeMap": ["?", {"jwtAttribute": "g", "senseAttribute": "group", "isMandatory": False}]},
        ),
    ],
)
def test_only_what_is_named_and_differs_is_changed_and_lists_are_added_to(
    entity: dict[str, Json], desired: dict[str, object], expected: dict[str, Json]
) -> None:
    assert changes(entity, **desired) == expected


@pytest.mark.parametrize(("nodes", "told"), [(NODES, "central, rim"), ((), "none that this user may see")])
def test_a_host_that_is_not_there_is_told_with_those_that_are(nodes: tuple[Node, ...], told: str) -> None:
    made = spec(named=frozenset({"nodes"}), nodes=("rim9", "central"))
    with pytest.raises(Refused, match="nodes names rim9") as caught:
        plan(made, ring(key("a")), observed("a"), Surroundings((), (), nodes), SETTLED)
    assert caught.value.hint == f"the site has: {told}; mend `nodes` in [proxy.portal]"
