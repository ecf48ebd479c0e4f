"""What a person does to a virtual proxy in the QMC."""

from rotator.sandbox.rights import READ
from worlds.server import CERTIFICATE
from worlds.world import World


def by_hand(world: World, text: str) -> None:
    world.server.edit(world.prefix, **{CERTIFICATE: text})


def certificate_of(world: World, number: int) -> str:
    wanted = world.made[number - 1].fingerprint
    return next(text for shown, text in world.one.certificates() if shown == wanted)


def let_see(world: World, user: str, *kinds: str) -> None:
    """A security rule: this user sees everything of these kinds, and of no other."""
    rules = world.server.repository.others["systemrule"]
    for kind in (*kinds, "ServerNodeConfiguration"):
        rules[kind] = {
            "actions": READ,
            "disabled": False,
            "ruleContext": 2,
            "resourceFilter": f"{kind}_*",
            "rule": f'user.userId="{user}"',
        }
