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


@pytest.mark.parametrize(
    ("field", "value", "message", "value_to_say"),
    [
        (
            "jwtAttributeUserId",
            "sub",
            'takes the user id from "sub", tokens have it in "userId"',
            'user_id_claim = "sub"',
        ),
        (
            "jwtAttributeUserId",
            "",
            'takes the user id from none, tokens have it in "userId"',
            'user_id_claim = "userId"',
        ),
        (
            "jwtAttributeUserDirectory",
            "[CORP]",
            'takes the user directory from "[CORP]", tokens have it in "userDirectory"',
            'user_directory_claim = "[CORP]"',
        ),
        ("jwtAudience", "qlik", 'demands the audience "qlik", tokens have none', 'audience = "qlik"'),
        ("jwtAttributeUserId", None, "takes the user id from none", 'user_id_claim = "userId"'),
        ("jwtAttributeUserId", "a b", "from another one, which cannot be shown here", 'user_id_claim = "userId"'),
        ("jwtAttributeUserId", "x" * 101, "from another one, which cannot be shown here", 'user_id_claim = "userId"'),
        ("jwtAttributeUserId", "x" * 100, f'from "{"x" * 100}"', f'user_id_claim = "{"x" * 100}"'),
    ],
)
def test_what_differs_is_told_with_its_remedy(field: str, value: Json, message: str, value_to_say: str) -> None:
    ((told, remedy),) = found(spec(), **{field: value})
    assert message in told
    assert remedy == (f"say in [proxy.portal] which is right, as {value_to_say}, then run rotator create-proxy portal")


def test_what_the_configuration_names_is_put_on_the_server() -> None:
    ((told, remedy),) = found(spec(audience="ours", named=NAMED), jwtAudience="theirs")
    assert told == 'the server demands the audience "theirs", tokens have "ours"'
    assert remedy == "rotator create-proxy portal puts that of the configuration on the server"


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
    said = 'user id in "userId", user directory "[CORP]", "team", another one, which cannot be shown here'
    assert in_words(there) == said
    assert in_words(observed(entity={**AS_MADE, "jwtAudience": "qlik", "jwtAttributeMap": 3})).endswith(
        'user directory in "userDirectory", audience "qlik"'
    )
    assert demanded(observed(entity={}))["mandatory"] == []
