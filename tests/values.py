"""Values for tests of decisions."""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta

from hypothesis import strategies as st

from rotator.model import (
    JWT_METHOD,
    Digest,
    Fingerprint,
    Intent,
    IntentKind,
    KeyVersion,
    Node,
    ProxySpec,
    Ring,
    Stage,
    User,
    VirtualProxy,
    Window,
)


NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
NODES = (Node("n1", "central"), Node("n2", "rim"))
SUNDAY = Window(frozenset({6}), time(2), time(5), "Europe/Stockholm")
WINDOWS = st.builds(
    Window,
    st.frozensets(st.integers(0, 6), min_size=1),
    st.times().map(lambda t: t.replace(second=0, microsecond=0, tzinfo=None)),
    st.times().map(lambda t: t.replace(second=0, microsecond=0, tzinfo=None)),
    st.sampled_from(["UTC", "Europe/Stockholm", "America/New_York", "Australia/Lord_Howe", "Pacific/Apia"]),
).filter(lambda window: window.start != window.end)
"""Of every kind, under every kind of daylight saving time."""
INTENT = Intent("i", IntentKind.ROTATE, NOW, Fingerprint("a" * 64), None, Fingerprint("b" * 64))


def key(
    letter: str = "a",
    stage: Stage = Stage.CURRENT,
    created: datetime = NOW,
    not_after: datetime = NOW + timedelta(days=1825),
    *,
    sent: bool = True,
) -> KeyVersion:
    fingerprint = Fingerprint(letter * 64)
    return KeyVersion(
        f"item-{letter}",
        fingerprint,
        f"kid-{letter}",
        3072,
        stage,
        created,
        created,
        Digest(letter * 64),
        not_after,
        sent,
    )


def ring(*keys: KeyVersion) -> Ring:
    return Ring(generation=1, proxy_id="vp", keys=keys)


def spec(**changes: object) -> ProxySpec:
    made = ProxySpec(
        name="portal",
        site="prod",
        prefix="portal",
        description="Customer portal",
        session_cookie="X-Qlik-Session-portal",
        user_id_claim="userId",
        user_directory_claim="userDirectory",
        test_user=User("ROTATOR", "probe"),
    )
    return replace(made, **changes)  # type: ignore[arg-type]


def observed(letter: str | None = "a", **changes: object) -> VirtualProxy:
    made = VirtualProxy(
        id="vp",
        prefix="portal",
        description="Customer portal",
        session_cookie="X-Qlik-Session-portal",
        method=JWT_METHOD,
        default=False,
        modified="2026-01-01T00:00:00.000Z",
        certificate="PEM" if letter else "",
        audience="",
        fingerprint=Fingerprint(letter * 64) if letter else None,
        not_after=NOW + timedelta(days=1825),
        entity={"id": "vp", "prefix": "portal", "loadBalancingServerNodes": [{"id": "n1"}]},
    )
    return replace(made, **changes)  # type: ignore[arg-type]
