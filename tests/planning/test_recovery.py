"""What a run finds at its start: every case of server, keyring and journal, each with its decision."""

from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations, product

import pytest
from values import NOW, key, observed, ring

from rotator.errors import Drift, Refused
from rotator.model import Fingerprint, Intent, IntentKind, Memory, Ring, Stage
from rotator.planning.drift import problem
from rotator.planning.recovery import Evidence, Finding, Found, Step, Way, assess


CURRENT, PENDING, PREVIOUS, STRANGER = (Fingerprint(letter * 64) for letter in "abpx")
SETTLED = ring(key("a"), key("p", Stage.PREVIOUS), key("r", Stage.RETIRED))
OPEN = replace(
    ring(key("a"), key("b", Stage.PENDING), key("p", Stage.PREVIOUS)),
    intent=Intent("i", IntentKind.ROTATE, NOW, CURRENT, None, PENDING),
)
assert OPEN.intent is not None
UNDOING = replace(OPEN, intent=replace(OPEN.intent, undoing=True))

SERVER = {"pending": PENDING, "current": CURRENT, "previous": PREVIOUS, "stranger": STRANGER, "nothing": None}
KEYRING = {
    "both": {CURRENT, PENDING, PREVIOUS},
    "the new one": {PENDING, PREVIOUS},
    "the old one": {CURRENT, PREVIOUS},
    "none": set[Fingerprint](),
}

TEST, SET, UNDO, ALIGN, OTHER, LOST, UNKNOWN, RESTORE, NOTHING, DONE, LATER = (
    "test it and finish",
    "set it again, test, finish",
    "put the old one back",
    "make it current, whatever was under way",
    "make it current",
    "lost",
    "unknown",
    "put the certificate back",
    "nothing on either side",
    "settled",
    "ask later",
)
ANSWERS = {
    TEST: Found(Finding.UNFINISHED, Way.CONCLUDE, Step.TEST),
    SET: Found(Finding.UNFINISHED, Way.CONCLUDE, Step.SET),
    UNDO: Found(Finding.UNFINISHED, Way.CONCLUDE, Step.UNDO),
    ALIGN: Found(Finding.OVERTAKEN, Way.ALIGN),
    OTHER: Found(Finding.OTHER_STAGE, Way.ALIGN),
    LOST: Found(Finding.LOST_KEY, Way.PERSON),
    UNKNOWN: Found(Finding.UNKNOWN_KEY, Way.PERSON),
    RESTORE: Found(Finding.NO_CERTIFICATE, Way.RESTORE),
    NOTHING: Found(Finding.NOTHING, Way.NONE),
    DONE: Found(Finding.SETTLED, Way.NONE, Step.CREATE),
    LATER: Found(Finding.UNASKED, Way.LATER),
}

# An open rotation from the current to the pending key, by what the server shows (rows) and the keyring gives (columns).
WITH_AN_INTENT = {
    #           both   the new one  the old one  none
    "pending": (TEST, TEST, UNDO, LOST),
    "current": (SET, SET, UNDO, LOST),
    "previous": (ALIGN, ALIGN, ALIGN, LOST),
    "stranger": (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    "nothing": (RESTORE, LOST, RESTORE, LOST),
}
# The same once its test has failed.
ON_THE_WAY_BACK = {
    "pending": (UNDO, TEST, UNDO, LOST),
    "current": (UNDO, SET, UNDO, LOST),
    "previous": (ALIGN, ALIGN, ALIGN, LOST),
    "stranger": (UNKNOWN, UNKNOWN, UNKNOWN, UNKNOWN),
    "nothing": (RESTORE, LOST, RESTORE, LOST),
}
# The same where the journal knows of later changes: the keyring is an old copy, its intent one of long ago.
IN_AN_OLD_COPY = {
    "pending": (ALIGN, ALIGN, LOST, LOST),
    "current": (ALIGN, LOST, ALIGN, LOST),
    "previous": (ALIGN, ALIGN, ALIGN, LOST),
    "stranger": (LOST, LOST, LOST, LOST),
    "nothing": (RESTORE, LOST, RESTORE, LOST),
}


def cases() -> list[object]:
    found: list[object] = []
    for keys, memory in product(("open", "undoing"), Memory):
        table = IN_AN_OLD_COPY if memory is Memory.NEWER else WITH_AN_INTENT if keys == "open" else ON_THE_WAY_BACK
        for server, keyring in product(SERVER, KEYRING):
            answer = table[server][list(KEYRING).index(keyring)]
            found.append(pytest.param(keys, server, keyring, memory, answer, id=f"{keys}-{server}-{keyring}-{memory}"))
    return found


@pytest.mark.parametrize(("keys", "server", "keyring", "memory", "answer"), cases())
def test_a_change_under_way(keys: str, server: str, keyring: str, memory: Memory, answer: str) -> None:
    rings = {"open": OPEN, "undoing": UNDOING}
    evidence = Evidence(rings[keys], SERVER[server], frozenset(KEYRING[keyring]), memory)
    assert assess(evidence) == ANSWERS[answer]


RINGS = ("", "a", "ap", "apr", "ab", "abpr", "b", "br", "r")
"""The keys of a ring without an intent, by their letters: none, settled, prepared, and a first one that is not set yet."""
STAGES = {"a": Stage.CURRENT, "b": Stage.PENDING, "p": Stage.PREVIOUS, "r": Stage.RETIRED}
# Nothing under way, by the key that the server shows, and whether the keyring gives it; of none, whether the current one.
WITHOUT_AN_INTENT = {
    #          given  not given
    "a": (DONE, LOST),
    "b": (OTHER, LOST),
    "p": (OTHER, LOST),
    "r": (OTHER, LOST),
    "not of the ring": (UNKNOWN, UNKNOWN),
    "none": (RESTORE, LOST),
    "none, and no current key": (NOTHING, NOTHING),
}


def row(keys: str, shown: str | None) -> str:
    if shown is None:
        return "none" if "a" in keys else "none, and no current key"
    return shown if shown in keys else "not of the ring"


def fingerprints(letters: Iterable[str]) -> frozenset[Fingerprint]:
    return frozenset(Fingerprint(letter * 64) for letter in letters)


def subsets(letters: str) -> list[tuple[str, ...]]:
    """Of the keys of a ring those whose private half the keyring gives: all, some or none."""
    return [found for count in range(len(letters) + 1) for found in combinations(letters, count)]


@pytest.mark.parametrize("memory", list(Memory))
@pytest.mark.parametrize("shown", [*STAGES, "x", None])
@pytest.mark.parametrize("keys", RINGS)
def test_nothing_under_way(keys: str, shown: str | None, memory: Memory) -> None:
    made = ring(*(key(letter, STAGES[letter]) for letter in keys))
    server = Fingerprint(shown * 64) if shown else None
    for held in subsets(keys):
        answer = WITHOUT_AN_INTENT[row(keys, shown)][(shown or "a") not in held]
        # A key that is not known to a keyring which was more once was lost with the rest.
        expected = LOST if answer == UNKNOWN and memory is Memory.NEWER else answer
        assert assess(Evidence(made, server, fingerprints(held), memory)) == ANSWERS[expected], held


@pytest.mark.parametrize("memory", list(Memory))
@pytest.mark.parametrize("keys", [*RINGS, "open", "undoing"])
def test_a_server_that_gives_no_answer_is_asked_again_later(keys: str, memory: Memory) -> None:
    under_way = {"open": OPEN, "undoing": UNDOING}.get(keys)
    letters = "abp" if under_way else keys
    made = under_way or ring(*(key(letter, STAGES[letter]) for letter in letters))
    for held in subsets(letters):
        assert assess(Evidence(made, None, fingerprints(held), memory, asked=False)) == ANSWERS[LATER], held


def test_a_first_key_goes_on_from_no_certificate_at_all() -> None:
    first = replace(ring(key("b", Stage.PENDING)), intent=Intent("i", IntentKind.FIRST_KEY, NOW, None, None, PENDING))
    assert assess(Evidence(first, None, frozenset({PENDING}))) == ANSWERS[SET]
    assert assess(Evidence(first, PENDING, frozenset({PENDING}))) == ANSWERS[TEST]
    assert assess(Evidence(first, PENDING, frozenset())) == ANSWERS[UNDO]


# A key that was never ours, or none, on its way out (--replace-key), by what the server shows, whether the test of the new
# key has failed (rows), and what the keyring gives (columns). Nobody could see that the old one logs in.
REPLACING = {
    #                        both          the new key   the certificate  neither
    ("the new one", False): (TEST, TEST, UNDO, LOST),
    ("the new one", True): (TEST, TEST, UNDO, LOST),
    ("the old one", False): (SET, SET, UNDO, UNDO),
    ("the old one", True): (UNDO, UNDO, UNDO, UNDO),
}


@pytest.mark.parametrize("before", [STRANGER, None])
@pytest.mark.parametrize(("shown", "undoing"), REPLACING)
def test_a_key_that_was_never_ours(before: Fingerprint | None, shown: str, undoing: bool) -> None:
    intent = Intent("i", IntentKind.REPLACE_KEY, NOW, before, None, PENDING, undoing)
    replacing = replace(ring(key("b", Stage.PENDING)), intent=intent)
    server = PENDING if shown == "the new one" else before
    given = [(held, text) for held in (frozenset({PENDING}), frozenset[Fingerprint]()) for text in (True, False)]
    for answer, (held, text) in zip(REPLACING[shown, undoing], given, strict=True):
        assert assess(Evidence(replacing, server, held, text=text)) == ANSWERS[answer], (held, text)


@pytest.mark.parametrize(
    ("keys", "shown", "kind", "said"),
    [
        (SETTLED, "p", Drift, "rotator recover portal"),
        (SETTLED, "x", Drift, "rotator adopt portal --key"),
        (SETTLED, None, Drift, "rotator create-proxy portal"),
        (ring(), None, Refused, "rotator create-proxy portal"),
        (ring(), "x", Drift, "--replace-key"),
        (OPEN, "x", Drift, "--replace-key"),
        (OPEN, "p", Drift, "rotator recover portal"),
    ],
)
def test_what_cannot_go_on_says_what_to_do(keys: Ring, shown: str | None, kind: type[Exception], said: str) -> None:
    held = frozenset(item.fingerprint for item in keys.keys)
    seen = observed(shown)
    error = problem("portal", keys, seen, assess(Evidence(keys, seen.fingerprint, held)))
    assert type(error) is kind
    assert said in str(error.hint)


def test_a_lost_key_is_told_by_its_fingerprint_and_with_its_way_out() -> None:
    error = problem("portal", SETTLED, observed("a"), ANSWERS[LOST])
    assert type(error) is Drift
    assert CURRENT[:12] in error.message
    assert "--replace-lost-key" in str(error.hint)


def test_a_certificate_that_nobody_can_read_is_somebodys() -> None:
    unreadable = observed(None, certificate="-----BEGIN CERTIFICATE----- EC")
    error = problem("portal", ring(), unreadable, assess(Evidence(ring(), None, frozenset())))
    assert type(error) is Drift
    assert "unreadable" in error.message
