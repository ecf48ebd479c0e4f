"""What can happen to a world, each counted: runs that are struck, other people, lost and restored files, wrong clocks."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from worlds.admin import settle
from worlds.effects import GARBLED, VANISH, Stroke
from worlds.keyring import KEY
from worlds.rotators import Ended, Rotator, adopting
from worlds.server import CERTIFICATE, HOSTS
from worlds.world import World


if TYPE_CHECKING:
    from pathlib import Path


Drawn = tuple[str, int, str, int, int]
"""A stroke: its label, which effect, the act or who comes in between, how many times, and a number for whoever comes."""
PEOPLE, FILES, CLOCKS, SECOND = KINDS = ("people", "files", "clocks", "second")
"""What an example may be about, beside runs, crashes, faults and late PUTs: without the others it goes deeper."""
MEANWHILE: Final = {
    "edit": None,
    "land": None,
    "timer": None,
    "edit certificate": PEOPLE,
    "old certificate": PEOPLE,
    "delete": PEOPLE,
    "server clock": CLOCKS,
    "other rotator": SECOND,
}
"""What somebody else may do while a run is at work, and what an example must be about for it."""
LATER: Final = {
    "nothing": None,
    "the next run": None,
    "in the middle of the next run": None,
    "a look": None,
    "a day": None,
    "lost state": FILES,
    "restored state": FILES,
    "lost keyring": FILES,
    "restored keyring": FILES,
    "lost key": FILES,
    "clock": CLOCKS,
    "server clock": CLOCKS,
    "second rotator": SECOND,
}
"""What may happen between the end of a run and the landing of what it sent, and what an example must be about for it."""


class Happenings:
    """One site, one rotator or two (`who`: by number), and everybody else (`number`: which of what there is)."""

    def __init__(self, world: World, counts: Counter[str]) -> None:
        self.world = world
        self.counts = counts
        self.states: dict[str, list[Path]] = {}
        self.keyrings: dict[str, list[dict[str, str]]] = {}
        self.copying = False
        """Whether keyring and state are copied before every run, for somebody to restore."""
        self.person = False
        """Whether something has happened since the last settling that asks for a person."""

    # --- runs

    def run(self, who: int, command: str, drawn: Sequence[Drawn]) -> Ended:
        rotator = self.pick(who)
        if self.copying:
            self.copy(who)
        ended = rotator.run(command, [self._stroke(rotator, *each) for each in drawn])
        self.counts["runs"] += 1
        self.counts["effects"] += ended.effects.seen["any"]
        self.counts["crashes"] += ended.crashed
        self.counts["faults"] += len(ended.effects.struck)
        # A keyring that forgets is an older copy of itself: people are told, and decide.
        self.person = self.person or any(act == VANISH and "keyring" in labels for act, *labels in ended.effects.struck)
        self.person = self.person or self._noted_late(rotator, ended)
        return ended

    def _noted_late(self, rotator: Rotator, ended: Ended) -> bool:
        """Whether a keyring stored late what was taken back because it could not be read meanwhile: people are told."""
        struck = [(act, *labels) for act, *labels in ended.effects.struck if "keyring" in labels]
        if (GARBLED, "keyring", "set") not in struck or not any("get" in labels for _, *labels in struck):
            return False
        ring = rotator.ring()
        return ring.intent is None and self.world.shown() not in {
            key.fingerprint for key in ring.keys if key.stage == "current"
        }

    def pick(self, who: int) -> Rotator:
        return self.world.rotators[who % len(self.world.rotators)]

    def _stroke(self, rotator: Rotator, label: str, nth: int, act: str, times: int, number: int) -> Stroke:
        if act not in MEANWHILE:
            return Stroke(label, nth, act, times=times)
        do: dict[str, Callable[[], Any]] = {
            "edit": lambda: self.edit(number),
            "edit certificate": self.edit_certificate,
            "old certificate": lambda: self.old_certificate(number),
            "delete": self.delete,
            "land": lambda: self.land(number),
            "server clock": lambda: self.server_clock([-3600.0, 3600.0][number % 2]),
            "timer": lambda: self._begins(rotator, number),
            "other rotator": lambda: self._begins(self.pick(self.world.rotators.index(rotator) + 1), number),
        }
        return Stroke(label, nth, None, meanwhile=do[act])

    def _begins(self, rotator: Rotator, number: int) -> None:
        """Another rotator, or the same one from the timer, begins and ends while one is at work."""
        self.counts["runs at the same time"] += 1
        rotator.run(["rotate --now", "rotate", "rollback"][number % 3])

    def sent(self, who: int, command: str, act: str, later: str, number: int, *, undo: bool) -> Ended:
        """A run ends with a write on its way, an undo's perhaps; something else happens, and then it lands."""
        late = self.world.server.late
        before, write = len(late), ("PUT qrs", 1)
        if self.world.shown() is None:
            command, write = "create-proxy", ("POST qrs", 1)
        elif undo:
            self.world.server.node(HOSTS[1]).stuck = True
            write = ("PUT qrs", 2)
        ended = self.run(who, command, [(*write, act, 1, number)])
        if len(late) == before:
            return ended
        self.counts["runs that ended with a write on its way"] += 1
        do: dict[str, Callable[[], Any]] = {
            "nothing": lambda: None,
            "the next run": lambda: self.run(who, "rotate --now", []),
            "in the middle of the next run": lambda: self.run(who, "rotate --now", [("PUT qrs", 1, "land", 1, before)]),
            "a look": lambda: self.run(who, "verify", []),
            "a day": lambda: self.world.timeline.elapse(86400.0),
            "lost state": lambda: self.lose_state(who),
            "restored state": lambda: self.restore_state(who, number),
            "lost keyring": lambda: self.lose_keyring(who),
            "restored keyring": lambda: self.restore_keyring(who, number),
            "lost key": lambda: self.lose_key(who, number),
            "clock": lambda: self.clock(who, [-3600.0, 3600.0][number % 2]),
            "server clock": lambda: self.server_clock([-3600.0, 3600.0][number % 2]),
            "second rotator": self.second,
        }
        do[later]()
        self.land(before)
        return ended

    def settled(self) -> None:
        """The faults are gone, and a rotation of each rotator completes."""
        while self.world.server.late:
            self.land(0)
            self.world.watch()
        for rotator in self.world.rotators:
            ordinary = rotator.current is not None and not self.person
            runs = settle(self.world, rotator, ordinary=ordinary)
            self.counts["settled by ordinary runs" if ordinary else "settled by hints"] += 1
            self.counts["settling runs"] += len(runs)
        self.person = len(self.world.rotators) > 1

    # --- the server

    def delay(self, delays: tuple[float, float]) -> None:
        for host, delay in zip(HOSTS, delays, strict=True):
            self.world.server.node(host).delay = delay

    def land(self, number: int) -> None:
        late = self.world.server.late
        if late:
            index = number % len(late)
            gone_back = self.world.server.gone_back(index)
            taken = self.world.server.land(index)
            # What lands over a later change looks as if somebody had put an older certificate back.
            self.person = self.person or (taken and gone_back)
            self.counts["late PUTs"] += 1
            self.counts["late PUTs taken"] += taken

    def edit(self, number: int) -> None:
        """Somebody changes another field in the QMC."""
        field, value = [("sessionInactivityTimeout", 30 + number), ("engineRoutingPolicy", number)][number % 2]
        self.counts["foreign edits"] += 1
        self.world.server.edit(self.world.prefix, **{field: value})

    # --- other people, who do what only people can mend

    def edit_certificate(self) -> None:
        key = self.world.new_key()
        self.world.outside[key.fingerprint] = key
        self._put_by_hand(key.certificate("somebody else", 30, self.world.timeline.present()))

    def old_certificate(self, number: int) -> None:
        """Somebody puts a certificate back that rotator has a key for."""
        texts = self.world.one.certificates()
        if texts:
            self._put_by_hand(texts[number % len(texts)][1])

    def _put_by_hand(self, text: str) -> None:
        self.person = True
        self.counts["foreign certificates"] += 1
        self.world.server.edit(self.world.prefix, **{CERTIFICATE: text})

    def delete(self) -> None:
        self.person = True
        self.counts["deletions"] += 1
        self.world.server.delete(self.world.prefix)

    def relink(self, hosts: tuple[str, ...]) -> None:
        self.person = self.person or hosts == ()
        self.counts["relinked"] += 1
        self.world.server.relink(self.world.prefix, hosts)

    # --- files

    def copy(self, who: int) -> None:
        """Somebody makes a copy of a rotator's keyring and state."""
        rotator = self.pick(who)
        self.keyrings.setdefault(rotator.name, []).append(dict(rotator.keyring.items))
        state = rotator.copy_state()
        if state:
            self.states.setdefault(rotator.name, []).append(state)

    def lose_state(self, who: int) -> None:
        self.counts["states lost"] += 1
        self.pick(who).lose_state()

    def restore_state(self, who: int, number: int) -> None:
        rotator = self.pick(who)
        copies = [copy for copy in self.states.get(rotator.name, ()) if rotator.of_one(copy, rotator.keyring.items)]
        if copies:
            copy = copies[number % len(copies)]
            # Of before the keyring was restored: it is an older copy then, as far as rotator can tell.
            self.person = self.person or rotator.ahead(copy)
            self.counts["states restored"] += 1
            rotator.restore_state(copy)

    def lose_keyring(self, who: int) -> None:
        self.person = True
        self.counts["keyrings lost"] += 1
        self.world.lose_keyring(self.pick(who))

    def lose_key(self, who: int, number: int) -> None:
        """The keyring has lost one private key, `number` counted from the newest; its certificate is still there."""
        rotator = self.pick(who)
        names = [name for name in rotator.keyring.items if KEY in name]
        if names:
            gone = names[-1 - number % len(names)]
            self.person = True
            self.counts["keys lost"] += 1
            self.world.lose_keyring(
                rotator, {name: text for name, text in rotator.keyring.items.items() if name != gone}
            )

    def restore_keyring(self, who: int, number: int) -> None:
        rotator = self.pick(who)
        copies = [copy for copy in self.keyrings.get(rotator.name, ()) if rotator.of_one(rotator.state, copy)]
        if copies:
            copy = copies[number % len(copies)]
            self.person = True
            self.counts["keyrings restored" if copy else "keyrings lost"] += 1
            self.world.lose_keyring(rotator, copy)

    # --- clocks

    def clock(self, who: int, seconds: float) -> None:
        self.counts["clock jumps"] += 1
        self.pick(who).clock.offset = seconds

    def server_clock(self, seconds: float) -> None:
        self.counts["clock jumps"] += 1
        self.world.server.clock.offset = seconds

    # --- a second rotator

    def second(self) -> None:
        """Another host, with a keyring and a state of its own, is given the same key."""
        shown = self.world.shown()
        key = self.world.key(shown) if shown else None
        if key is not None and len(self.world.rotators) == 1:
            self.counts["second rotators"] += 1
            self.person = True
            self.world.rotator("two").run("adopt", verb=adopting(key))
