"""A ring as text: it comes back whole, and what is not exactly a ring is refused."""

import json
from dataclasses import replace
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st
from values import INTENT, NOW, key

from rotator.errors import KeyStoreCorrupt, KeyStoreError
from rotator.keystore.codec import decode, encode
from rotator.model import (
    Baseline,
    Delivery,
    Digest,
    Fingerprint,
    Intent,
    IntentKind,
    KeyVersion,
    Retry,
    Ring,
    Stage,
)


TIMES = st.datetimes(datetime(2000, 1, 1), datetime(2100, 1, 1)).map(lambda moment: moment.replace(tzinfo=UTC))
HEX = st.text("0123456789abcdef", min_size=64, max_size=64)
VERSIONS = st.builds(
    KeyVersion,
    st.text("ab-", min_size=1),
    HEX.map(Fingerprint),
    st.text(max_size=9),
    st.integers(2048, 4096),
    st.sampled_from(Stage),
    TIMES,
    TIMES,
    HEX.map(Digest),
    TIMES,
    st.booleans(),
    st.none() | st.text(max_size=30),
)
RINGS = st.builds(
    Ring,
    st.integers(0, 9),
    st.none() | st.text(max_size=9),
    st.lists(VERSIONS, max_size=4).map(tuple),
    st.none()
    | st.builds(
        Intent,
        HEX,
        st.sampled_from(IntentKind),
        TIMES,
        st.none() | HEX.map(Fingerprint),
        st.none() | HEX.map(Digest),
        HEX.map(Fingerprint),
        st.booleans(),
    ),
    st.none() | st.builds(Delivery, HEX, HEX.map(Fingerprint), TIMES, st.integers(0, 9)),
    st.none() | st.builds(Baseline, st.frozensets(HEX), st.frozensets(HEX), st.frozensets(HEX), st.text()),
    st.none() | st.builds(Retry, st.integers(0, 9), TIMES),
    st.booleans(),
)


@given(RINGS)
def test_a_ring_survives_its_text(made: Ring) -> None:
    text = encode(made)
    assert "\n" not in text
    assert decode(text, "index") == made


def kept(ring: Ring) -> object:
    """What has a form that damage breaks. Names, ids, numbers and times have none: a shorter one is another one."""
    intent = ring.intent
    return (
        [(key.fingerprint, key.certificate, key.stage, key.sent) for key in ring.keys],
        intent and (intent.kind, intent.before, intent.before_certificate, intent.after, intent.undoing),
        ring.delivery and ring.delivery.fingerprint,
        ring.baseline is None,
        ring.retry is None,
    )


LONGEST = 200
"""Characters that are cut: twice as many can be a whole key, and what is left is a ring of one key less."""


@given(RINGS, st.data())
def test_a_ring_of_which_something_was_cut_is_refused_or_has_the_same_keys(made: Ring, data: st.DataObject) -> None:
    text = encode(made)
    start = data.draw(st.integers(0, len(text) - 1))
    cut = text[:start] + text[start + data.draw(st.integers(1, LONGEST)) :]
    try:
        found = decode(cut, "index")
    except KeyStoreError as error:
        assert "index" in error.message
    else:
        assert kept(found) == kept(made)


WHOLE = Ring(
    generation=1,
    keys=(replace(key(), sent_over="2026-11-24T12:00:00.000Z"),),
    intent=INTENT,
    delivery=Delivery("d", Fingerprint("a" * 64), NOW),
    baseline=Baseline(frozenset({"n"})),
    retry=Retry(1, NOW),
    untested=True,
)
HASHES = (
    "keys fingerprint",
    "keys certificate",
    "intent before",
    "intent before_certificate",
    "intent after",
    "delivery fingerprint",
)
COUNTS = ("generation", "keys bits", "delivery attempts", "retry attempts")
MOMENTS = ("keys created", "keys since", "keys not_after", "intent started", "delivery since", "retry at")
FLAGS = ("keys sent", "intent undoing", "untested")
WORDS = ("keys stage", "intent kind")
NAMES = ("keys item", "keys kid", "keys sent_over", "intent id", "delivery id", "proxy_id")
LISTS = ("keys", "baseline nodes", "baseline tags", "baseline custom_properties")
WRONG: list[tuple[tuple[str, ...], tuple[object, ...]]] = [
    (HASHES, ("", "a" * 63, "a" * 65, "A" * 64, "a" * 64 + "\n", 3)),
    (COUNTS, (-1, 1.5, True, "1", None)),
    (MOMENTS, ("", "2026-11-24T12:00:00", "yesterday", 3, None)),
    (FLAGS, (0, "true", None)),
    (WORDS, ("", "another", None)),
    (NAMES, (3, [])),
    (LISTS, (None, {}, "n", 3)),
]


@pytest.mark.parametrize(
    ("place", "value"), [(place, value) for places, values in WRONG for place in places for value in values]
)
def test_a_value_without_its_form_is_refused(place: str, value: object) -> None:
    document = json.loads(encode(WHOLE))
    *above, name = place.split()
    within = document
    for part in above:
        within = within[part][0] if part == "keys" else within[part]
    assert name in within
    within[name] = value
    with pytest.raises(KeyStoreCorrupt, match="index"):
        decode(json.dumps(document), "index")


def test_a_newer_ring_is_refused() -> None:
    with pytest.raises(KeyStoreError, match="newer rotator"):
        decode(encode(Ring()).replace('"v":2', '"v":3'), "index")
