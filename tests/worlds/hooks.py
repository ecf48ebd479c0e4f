"""Consumers who are handed each new key: a hook, and what it was given."""

from dataclasses import replace

from rotator.model import Consumers
from worlds.world import World


def hook(world: World, status: int) -> None:
    path = world.folder / "hook"
    path.write_text(f'#!/bin/sh\ncat >/dev/null\necho "$ROTATOR_FINGERPRINT" >>{world.folder}/handed\nexit {status}\n')
    path.chmod(0o700)
    world.one.spec = replace(world.one.spec, consumers=Consumers.HOOK, hook=path)


def handed(world: World) -> str:
    """The key that the hook was given last."""
    return (world.folder / "handed").read_text().split()[-1]
