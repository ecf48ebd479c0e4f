"""The keys of a virtual proxy as rows for people and scripts."""

from rotator.model import Json, Ring, utc


def key_rows(ring: Ring) -> list[dict[str, Json]]:
    """The keys of a ring as rows, newest first, without anything secret."""
    newest = sorted(ring.keys, key=lambda key: key.created, reverse=True)
    return [
        {
            "stage": key.stage.value,
            "fingerprint": key.fingerprint,
            "kid": key.kid,
            "bits": key.bits,
            "created": utc(key.created),
            "since": utc(key.since),
            "certificate_not_after": utc(key.not_after),
            "sent": key.sent,
        }
        for key in newest
    ]
