"""What comes next: tables of every case, and that planning what was just applied plans nothing."""

import re
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import NODES, NOW, key, observed, ring, spec

from rotator.errors import Drift, Refused
from rotator.model import (
    Attribute,
    Auth,
    Baseline,
    Delivery,
    Fingerprint,
    Intent,
    IntentKind,
    ProxyService,
    ProxySpec,
    Ring,
    Stage,
    VirtualProxy,
)
from rotator.planning import stages
from rotator.planning.drift import check_manageable
from rotator.planning.entity import baseline_of, check_complete, with_certificate
from rotator.planning.provisioning import FIRST, KEEP, RESTORE, RESUME, Plan, Surroundings, applied
from rotator.planning.provisioning import plan as decide
from rotator.planning.recovery import Evidence, assess
from rotator.planning.rotation import as_served, reusable_pending
from rotator.planning.signing import signing_key


A, B = Fingerprint("a" * 64), Fingerprint("b" * 64)
OPEN = Intent("i", IntentKind.ROTATE, NOW, A, None, B)
KEYS = ring(key("a"), key("b", Stage.PENDING))
PROXIES = (
    ProxyService(
        "p1", "central", central=True, listen_port=443, rest_port=4243, virtual_proxies=frozenset(), modified=""
    ),
    ProxyService("p2", "rim", central=False, listen_port=443, rest_port=4243, virtual_proxies=frozenset(), modified=""),
)


def test_a_rotation_moves_every_key_one_stage_on() -> None:
    before = replace(ring(key("a"), key("b", Stage.PENDING, sent=False), key("c", Stage.PREVIOUS)), intent=None)
    opened = stages.opened(before, OPEN, None)
    assert opened.known(B) == key("b", Stage.PENDING, sent=True)
    later = NOW + timedelta(minutes=1)
    delivery = Delivery("d", B, later)
    after = stages.promoted(opened, later, delivery)
    assert [(item.fingerprint[0], item.stage) for item in after.keys] == [
        ("a", Stage.PREVIOUS),
        ("b", Stage.CURRENT),
        ("c", Stage.RETIRED),
    ]
    assert (after.intent, after.delivery, after.untested) == (None, delivery, True)
    assert stages.tested(after) == replace(after, untested=False)


def test_a_first_key_has_no_previous_one_to_test() -> None:
    first = stages.opened(ring(key("b", Stage.PENDING, sent=False)), replace(OPEN, before=None), None)
    assert not stages.promoted(first, NOW, None).untested


def test_a_key_that_is_taken_in_leaves_nothing_to_test() -> None:
    assert not stages.with_current(replace(KEYS, untested=True), key("c"), NOW).untested


def test_an_undone_key_is_retired_and_never_dropped() -> None:
    after = stages.undone(stages.undoing(stages.opened(KEYS, OPEN, None)), NOW)
    assert [(item.fingerprint[0], item.stage) for item in after.keys] == [("a", Stage.CURRENT), ("b", Stage.RETIRED)]
    assert after.intent is None


def test_a_second_pending_key_retires_the_first() -> None:
    after = stages.with_pending(KEYS, key("c", Stage.PENDING), NOW)
    assert [item.stage for item in after.keys] == [Stage.CURRENT, Stage.RETIRED, Stage.PENDING]


def test_while_an_intent_is_open_the_servers_key_signs() -> None:
    opened = replace(KEYS, intent=OPEN)
    assert signing_key(opened, B) == opened.known(B)
    assert signing_key(opened, A) == opened.known(A)
    assert signing_key(KEYS, B) == KEYS.at(Stage.CURRENT)


def test_a_pending_key_of_another_size_or_that_was_sent_is_not_used() -> None:
    fresh = replace(KEYS, keys=tuple(replace(key, sent=False) for key in KEYS.keys))
    assert reusable_pending(fresh, spec()) == fresh.at(Stage.PENDING)
    assert reusable_pending(fresh, spec(rotation=replace(spec().rotation, key_bits=4096))) is None
    assert reusable_pending(replace(KEYS, keys=tuple(replace(key, sent=True) for key in KEYS.keys)), spec()) is None


def test_the_key_ends_with_the_certificate_that_the_server_has() -> None:
    served = observed("a", not_after=NOW + timedelta(days=10))
    current = as_served(ring(key("a")), served).at(Stage.CURRENT)
    assert current is not None
    assert (current.created, current.not_after) == (key("a").created, NOW + timedelta(days=10))


@pytest.mark.parametrize(
    ("changes", "cause"),
    [
        ({"default": True}, "is the default virtual proxy"),
        ({"method": 0}, "authenticates by ticket"),
        ({"method": 3}, "authenticates by SAML"),
        ({"method": 9}, "authenticates by another method"),
    ],
)
def test_what_rotator_never_touches(changes: dict[str, object], cause: str) -> None:
    with pytest.raises(Drift, match=cause):
        check_manageable("portal", observed("a", **changes))


def test_only_the_certificate_changes() -> None:
    seen = observed("a", entity={"id": "vp", "unknownField": [1], "jwtPublicKeyCertificate": "old"})
    assert with_certificate(seen, "new") == {"id": "vp", "unknownField": [1], "jwtPublicKeyCertificate": "new"}


def test_lists_that_shrank_are_not_put() -> None:
    full = observed("a", entity={"loadBalancingServerNodes": [{"id": "n1"}, {"id": "n2"}], "tags": [{"id": "t"}]})
    keys = replace(ring(key("a")), baseline=baseline_of(full))
    less = observed("a", entity={"loadBalancingServerNodes": [{"id": "n1"}], "tags": []})
    check_complete("portal", Auth.JWT, keys, full)
    check_complete("portal", Auth.CERTIFICATE, keys, less)
    with pytest.raises(Refused, match="1 load balancing node, 1 tag of"):
        check_complete("portal", Auth.JWT, keys, less)
    with pytest.raises(Refused, match="cannot be told") as unknown:
        check_complete("portal", Auth.JWT, replace(keys, baseline=None), full)
    assert unknown.value.hint is not None
    assert "run rotator verify once" in unknown.value.hint


def test_baselines_hold_ids() -> None:
    assert baseline_of(observed("a", audience="qlik")) == Baseline(nodes=frozenset({"n1"}), audience="qlik")
    entity = {"tags": [{"id": "t"}, {"name": "no id"}, {"id": {}}, {"id": 1}, None], "customProperties": [{"id": "c"}]}
    assert baseline_of(observed("a", entity=entity)) == Baseline(
        nodes=frozenset(), tags=frozenset({"t"}), custom_properties=frozenset({"c"})
    )


def plan(made: ProxySpec, keys: Ring, seen: VirtualProxy | None, surroundings: Surroundings) -> Plan:
    """The plan where the keyring gives every key."""
    held = frozenset(item.fingerprint for item in keys.keys)
    found = assess(Evidence(keys, seen.fingerprint, held)) if seen else None
    return decide(made, keys, seen, surroundings, found)


def around(*others: object) -> Surroundings:
    return Surroundings(tuple(others), PROXIES, NODES)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("keys", "shown", "what"),
    [
        (ring(), None, FIRST),
        (ring(key("a")), "a", KEEP),
        (ring(key("a")), None, RESTORE),
        (replace(KEYS, intent=OPEN), "b", RESUME),
        (replace(KEYS, intent=OPEN), "a", RESUME),
    ],
)
def test_what_happens_to_the_certificate(keys: Ring, shown: str | None, what: object) -> None:
    assert plan(spec(), keys, observed(shown), around()).key is what


@pytest.mark.parametrize("keys", [ring(), ring(key("b")), ring(key("b"), key("a", Stage.RETIRED))])
def test_a_certificate_that_is_not_current_stops_create_proxy(keys: Ring) -> None:
    with pytest.raises(Drift):
        plan(spec(), keys, observed("a"), around())


@pytest.mark.parametrize(
    ("field", "value"), [("session_cookie", "x-qlik-session-PORTAL"), ("description", "customer PORTAL")]
)
def test_names_that_are_taken(field: str, value: str) -> None:
    other = observed("x", id="other", prefix="other", **{"session_cookie": "o", "description": "o", field: value})
    with pytest.raises(Refused, match="is taken by the virtual proxy with the prefix 'other'"):
        plan(spec(), ring(), None, around(other))
    # What is there already keeps its own, unless the configuration names one.
    plan(spec(), ring(key("a")), observed("a"), around(other))
    with pytest.raises(Refused, match="is taken by"):
        plan(spec(named=frozenset({field})), ring(key("a")), observed("a"), around(other))


@pytest.mark.parametrize(
    ("prefix", "named"),
    [
        ("my_other-1", "prefix 'my_other-1'"),
        ("", "prefix ''"),
        ("[a](https://b)", "id other"),
        ("www.b.c", "id other"),
        ("a" * 101, "id other"),
    ],
)
def test_who_has_a_name_is_told_without_markup(prefix: str, named: str) -> None:
    other = observed("x", id="other", prefix=prefix, session_cookie="o")
    with pytest.raises(Refused, match=rf"by the virtual proxy with the {re.escape(named)}$"):
        plan(spec(), ring(), None, around(other))


def test_a_host_that_the_site_does_not_have() -> None:
    with pytest.raises(Refused, match="rim9"):
        plan(spec(proxies=("rim9",)), ring(), None, around())


def test_the_central_proxy_is_always_linked() -> None:
    assert [proxy.host for proxy in plan(spec(proxies=("rim",)), ring(), None, around()).links] == ["central", "rim"]


def test_keys_that_are_not_named_are_not_managed() -> None:
    seen = observed(
        "a",
        entity={
            "id": "vp",
            "description": "theirs",
            "sessionInactivityTimeout": 99,
            "loadBalancingServerNodes": [{"id": "n1"}],
        },
    )
    assert plan(spec(), ring(key("a")), seen, around()).changes == ()


NAMES = st.sampled_from(["a.example.com", "b.example.com", "c.example.com"])
SPECS = st.builds(
    lambda allow, headers, attributes, minutes, audience, named: spec(
        host_allow_list=tuple(allow),
        additional_response_headers=tuple(headers),
        attributes=tuple(attributes),
        session_inactivity_timeout=timedelta(minutes=minutes),
        audience=audience,
        named=frozenset(named),
    ),
    st.lists(NAMES, unique=True),
    st.lists(st.sampled_from(["X-A: 1", "X-A: 2", "X-B: 3"]), unique_by=lambda line: line[:3]),
    st.lists(
        st.builds(Attribute, st.sampled_from("gh"), st.sampled_from(["group", "team"]), st.booleans()),
        unique_by=lambda item: (item.claim, item.sense),
    ),
    st.integers(1, 99),
    st.sampled_from(["", "qlik"]),
    st.sets(
        st.sampled_from(
            [
                "host_allow_list",
                "additional_response_headers",
                "attributes",
                "session_inactivity_timeout",
                "audience",
                "nodes",
            ]
        )
    ),
)
ENTITIES = st.fixed_dictionaries(
    {
        "websocketCrossOriginWhiteList": st.lists(
            st.sampled_from(["A.example.com", "foreign.example.com"]), unique=True
        ),
        "additionalResponseHeaders": st.sampled_from(["", "X-A: 0", "X-Foreign: 1\r\nX-B: 9"]),
        "jwtAttributeMap": st.lists(
            st.just({"id": "m", "jwtAttribute": "g", "senseAttribute": "group", "isMandatory": False}), max_size=1
        ),
        "sessionInactivityTimeout": st.integers(1, 99),
        "jwtAudience": st.sampled_from(["", "other"]),
        "loadBalancingServerNodes": st.sampled_from([[], [{"id": "n1"}], [{"id": "foreign"}]]),
    }
)


@given(SPECS, ENTITIES)
def test_planning_what_was_just_applied_plans_nothing_and_takes_nothing_away(
    made: ProxySpec, entity: dict[str, object]
) -> None:
    seen = observed("a", entity=entity)
    changes = plan(made, ring(key("a")), seen, around()).changes
    after = applied(changes, seen.entity)
    assert plan(made, ring(key("a")), observed("a", entity=after), around()).changes == ()
    for field in ("websocketCrossOriginWhiteList", "loadBalancingServerNodes"):
        before = entity[field]
        assert isinstance(before, list)
        kept = after[field]
        assert isinstance(kept, list)
        assert kept[: len(before)] == before
    assert "X-Foreign: 1" not in str(entity["additionalResponseHeaders"]) or "X-Foreign: 1" in str(
        after["additionalResponseHeaders"]
    )
