"""A ring as rows for people and scripts."""

from rotator.model import Json, Ring


def told(ring: Ring) -> list[dict[str, Json]]:
    """The keys of a ring as rows, newest first, without anything secret."""
    newest = sorted(ring.keys, key=lambda key: key.created, reverse=True)
    return [
        {
            "stage": key.stage.value,
            "fingerprint": key.fingerprint,
            "kid": key.kid,
            "bits": key.bits,
            "created": f"{key.created:%Y-%m-%dT%H:%M:%SZ}",
            "since": f"{key.since:%Y-%m-%dT%H:%M:%SZ}",
            "certificate_not_after": f"{key.not_after:%Y-%m-%dT%H:%M:%SZ}",
            "sent": key.sent,
        }
        for key in newest
    ]
