"""Releases of Qlik Sense as far as they differ for rotator."""

from dataclasses import dataclass
from typing import Any, Final


@dataclass(frozen=True, slots=True)
class Release:
    """`csrftoken`: QPS has that endpoint; `websocket_token`: the engine's WebSocket demands it.

    `absent` are fields of the virtual proxy that this release does not know, `extra` those that nobody documents.
    """

    name: str
    build: str
    csrftoken: bool
    websocket_token: bool
    absent: frozenset[str]
    extra: dict[str, Any]


_NEWEST: Final = frozenset(
    {
        "useStickyLoadBalancing",
        "enableEngineSaturationCheck",
        "enableEngineHealthCheckData",
        "loadBalancingAlgorithm",
        "sameSiteAttributeHttps",
        "sameSiteAttributeHttp",
        "magicLinkHostUri",
        "magicLinkFriendlyName",
    }
)

RELEASES: Final = {
    release.name: release
    for release in (
        Release("2025-11", "31.62.0.0", True, True, frozenset(), {"engineRoutingPolicy": 0, "sessionLabels": []}),
        Release("2023-05", "30.100.0.0", True, False, frozenset({"loadBalancingAlgorithm"}), {}),
        Release("2021-08", "30.4.0.0", False, False, _NEWEST, {}),
    )
}
"""By name, the newest first. Csrftoken came with May 2023; the WebSocket demands it since November 2024."""

DEFAULT: Final = next(iter(RELEASES))
