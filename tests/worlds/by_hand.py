"""What a person does to a virtual proxy in the QMC."""

from worlds.server import CERTIFICATE
from worlds.world import World


def by_hand(world: World, text: str) -> None:
    world.server.edit(world.prefix, **{CERTIFICATE: text})


def certificate_of(world: World, number: int) -> str:
    wanted = world.made[number - 1].fingerprint
    return next(text for shown, text in world.one.certificates() if shown == wanted)
