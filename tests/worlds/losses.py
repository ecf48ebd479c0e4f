"""What a keyring loses, item by item."""

from worlds.keyring import KEY
from worlds.world import World


def lose_keys(world: World, *fingerprints: str | None) -> None:
    """These private keys, and nothing else."""
    lost = [f"-{fingerprint[:12]}" for fingerprint in fingerprints if fingerprint]
    kept = {
        name: text
        for name, text in world.one.keyring.items.items()
        if KEY not in name or not any(part in name for part in lost)
    }
    assert len(kept) == len(world.one.keyring.items) - len(lost)
    world.lose_keyring(world.one, kept)


def lose_certificate(world: World, digest: str | None) -> None:
    """The text of this certificate, and nothing else."""
    items = world.one.keyring.items
    kept = {name: text for name, text in items.items() if f"/certificate/{str(digest)[:32]}" not in name}
    assert len(kept) == len(items) - 1
    world.lose_keyring(world.one, kept)
