"""What tokens carry, and why they are refused whatever key signs them."""

from dataclasses import replace

import pytest
from values import key, observed, ring, spec

from rotator.model import Baseline, Json, ProxySpec, Ring, Stage
from rotator.planning.signing import audience_of, demanded, in_words, mismatches


SEEN = replace(ring(key("a", Stage.CURRENT)), baseline=Baseline(audience="seen"))
UNSEEN = ring(key("a", Stage.CURRENT))
AS_MADE: dict[str, Json] = {
    "jwtAttributeUserId": "userId",
    "jwtAttributeUserDirectory": "userDirectory",
    "jwtAudience": "",
}
NAMED = frozenset({"audience"})


@pytest.mark.parametrize(
    ("desired", "keys", "said"),
    [
        (spec(), UNSEEN, ""),
        (spec(), SEEN, "seen"),
        (spec(audience="ours", named=NAMED), UNSEEN, "ours"),
        (spec(audience="ours", named=NAMED), SEEN, "ours"),
        (spec(audience="", named=NAMED), SEEN, ""),
    ],
)
def test_the_audience_is_as_configured_or_else_as_it_was_seen(desired: ProxySpec, keys: Ring, said: str) -> None:
    assert audience_of(desired, keys) == said


def found(desired: ProxySpec, **entity: Json) -> list[tuple[str, str]]:
    there = observed(entity={**AS_MADE, **entity})
    return [(item.message, item.remedy) for item in mismatches(desired, UNSEEN, there)]


def test_what_agrees_is_not_told() -> None:
    assert found(spec()) == []
    assert found(spec(audience="ours", named=NAMED)) == []


UNSHOWN = "one that cannot be shown here"


@pytest.mark.parametrize(
    ("field", "value", "said", "named"),
    [
        (
            "jwtAttributeUserId",
            "uid",
            'takes the user id from "uid", and tokens of rotator have it in "userId"',
            "user_id_claim",
        ),
        (
            "jwtAttributeUserId",
            "",
            'takes the user id from none, and tokens of rotator have it in "userId"',
            "user_id_claim",
        ),
        ("jwtAttributeUserId", None, "takes the user id from none", "user_id_claim"),
        (
            "jwtAttributeUserDirectory",
            "[CORP]",
            'logs everybody in with the user directory "[CORP]", whatever tokens of rotator say',
            "user_directory_claim",
        ),
        ("jwtAudience", "qlik", 'the audience "qlik", and tokens of rotator have none: it refuses them', "audience"),
        ("jwtAttributeUserId", "a b", f"from {UNSHOWN}", "user_id_claim"),
        ("jwtAttributeUserId", "x" * 101, f"from {UNSHOWN}", "user_id_claim"),
        ("jwtAttributeUserId", "x" * 100, f'from "{"x" * 100}"', "user_id_claim"),
    ],
)
def test_what_differs_is_told_with_its_remedy(field: str, value: Json, said: str, named: str) -> None:
    ((told, remedy),) = found(spec(), **{field: value})
    assert said in told
    assert remedy == f"name the right one in [proxy.portal], as {named}, and run rotator create-proxy portal"


def test_what_the_configuration_names_is_put_on_the_server() -> None:
    ((told, remedy),) = found(spec(audience="ours", named=NAMED), jwtAudience="theirs")
    assert told == 'the server demands the audience "theirs", and tokens of rotator have "ours": it refuses them'
    assert remedy == (
        "rotator create-proxy portal puts what [proxy.portal] says on the server; or name there what the server has, "
        "as audience"
    )


def test_a_mandatory_claim_is_given_to_test_logins() -> None:
    mandatory: list[Json] = [
        {"jwtAttribute": claim, "isMandatory": True} for claim in ("team", "userId", "userDirectory")
    ]
    ((told, remedy),) = found(spec(), jwtAttributeMap=mandatory)
    assert 'without the claim "team"' in told
    assert "test_claims" in remedy
    assert found(spec(test_claims={"team": "x"}), jwtAttributeMap=mandatory) == []


def test_what_a_token_carries() -> None:
    mapped: list[Json] = [
        {"jwtAttribute": "team", "isMandatory": True},
        {"jwtAttribute": "group", "isMandatory": False},
        {"jwtAttribute": "<b>", "isMandatory": True},
        {"jwtAttribute": 3, "isMandatory": True},
        {"isMandatory": True},
        "team",
    ]
    there = observed(entity={**AS_MADE, "jwtAttributeUserDirectory": "[CORP]", "jwtAttributeMap": mapped})
    assert demanded(there) == {
        "user_id": "userId",
        "user_directory": "[CORP]",
        "audience": "",
        "mandatory": ["team", "<b>"],
    }
    said = 'user id in "userId", user directory "[CORP]", "team", one that cannot be shown here'
    assert in_words(there) == said
    assert in_words(observed(entity={**AS_MADE, "jwtAudience": "qlik", "jwtAttributeMap": 3})).endswith(
        'user directory in "userDirectory", audience "qlik"'
    )
    assert demanded(observed(entity={}))["mandatory"] == []
