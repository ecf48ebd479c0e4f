"""A run as a story: what the operator saw, what was done to whom, and how things stand afterwards.

Keys are named in the order in which they were made, so that a story is the same whatever the keys are.
"""

import re
import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import datetime
from typing import Final

from rotator.errors import KeyStoreError
from rotator.model import Ring
from rotator.planning.due import due
from rotator.planning.signing import signing_key
from rotator.state import database as journal_file
from worlds.effects import Stroke
from worlds.rotators import Ended, Rotator, Verb
from worlds.world import World


LONG: Final = 8
"""Rows that are not told one by one: what a new virtual proxy is made of is tested in tests/planning."""


class Story:
    """Runs commands in a world, and writes down what came of them."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.lines: list[str] = []

    def run(
        self, command: str, *strokes: Stroke, verb: Verb | None = None, who: Rotator | None = None, **options: bool
    ) -> Ended:
        """One run, told; the creation that most stories begin with in one line."""
        if command == "create-proxy" and not (self.lines or strokes or verb or who):
            return self.brief(command)
        rotator = who or self.world.one
        began, seen = self.world.timeline.seconds, self._events(rotator)
        ended = rotator.run(command, strokes, verb, **options)
        self.lines += [
            f"$ rotator {command}" + "".join(f" [{each.act} at {each.label} {each.nth}]" for each in strokes)
        ]
        self.lines += [f"    {line}" for line in ended.told]
        self.lines += [f"    | {line}" for line in self._events(rotator)[len(seen) :]]
        self.lines += [f"    requests: {self._requests(ended)}; {self.world.timeline.seconds - began:.2f} s"]
        if ended.crashed:
            self.lines.append("  crashed")
        elif ended.error is not None:
            self.lines += [f"  {ended.exit} {ended.error.reason}: {ended.message}", f"  hint: {ended.error.hint}"]
        elif ended.result is not None:
            key = f" key {ended.result.key.fingerprint}" if ended.result.key else ""
            told = ended.result
            self.lines += [f"  {ended.exit} {told.outcome} {told.reason}: {told.message}{key}"]
            for name, value in told.extra.items():
                rows = value if isinstance(value, list) else [value]
                self.lines += [f"  {name}: {value if len(rows) < LONG else f'{len(rows)} rows'}"]
            self.lines += [f"  virtual proxy: {told.proxy_id is not None}"]
        checks = ended.error.checks if ended.error else ended.result.checks if ended.result else ()
        self.lines += [f"  {item.host} {item.name} {item.result} {item.detail}" for item in checks]
        self._stand(rotator)
        return ended

    def brief(self, command: str, *strokes: Stroke) -> Ended:
        """One run in two lines, for those that are made again and again."""
        ended = self.world.one.run(command, strokes)
        at = "".join(f" [{each.act} at {each.label} {each.nth}]" for each in strokes)
        self.lines.append(f"$ rotator {command}{at}: {ended.exit} {ended.message}")
        if ended.hint:
            self.lines.append(f"  hint: {ended.hint}")
        if strokes:
            self.lines.append(f"  {self._stages()}")
        return ended

    def _stages(self) -> str:
        ring = self.world.one.ring()
        keys = ", ".join(f"{key.fingerprint} {key.stage}" for key in ring.keys)
        return f"{keys}{_rest(ring)}; server: {self.world.shown()}"

    def note(self, line: str) -> None:
        """What somebody else did."""
        self.lines.append(f"- {line}")

    def text(self) -> str:
        """The whole story, keys by their names."""
        told = "\n".join(self.lines) + "\n"
        names = {f"K{number}": key for number, key in enumerate(self.world.made, 1)} | self.world.others
        for name, key in names.items():
            told = told.replace(key.public.kid, f"kid-{name}").replace(key.fingerprint, name)
            told = told.replace(key.fingerprint[:12], name)
        told = told.replace(str(self.world.folder), "FOLDER")
        for proxy in self.world.server.repository.virtual_proxies.values():
            told = told.replace(proxy["id"], "ID")
        told = re.sub(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", "UUID", told)
        told = re.sub(r"certificate/[0-9a-f]{32}", "certificate/DIGEST", re.sub(r"[0-9a-f]{12}/", "SITE/", told))
        told = re.sub(r"(the certificate) [0-9a-f]{12}", r"\1 DIGEST", told)
        return re.sub(r"of \w+ \(process \d+\)", "of USER (process N)", told)

    def _stand(self, rotator: Rotator) -> None:
        try:
            ring = rotator.ring()
        except KeyStoreError as error:
            self.lines.append(f"  keyring: {error.message}")
            return
        self.lines.append(f"  keyring {ring.generation}: {_keys(ring)}{_rest(ring)}")
        shown = self.world.shown()
        signs = signing_key(ring, shown) if shown else None  # type: ignore[arg-type]
        verdict = due(rotator.spec, ring, rotator.clock.now())
        items = sum("/key/" in name for name in rotator.keyring.items)
        texts = sum("/certificate/" in name for name in rotator.keyring.items)
        self.lines.append(f"  items: {items} keys, {texts} certificates")
        self.lines.append(f"  server: {shown}; signs: {signs.fingerprint if signs else None}; {verdict.reason}")

    def _requests(self, ended: Ended) -> str:
        counted = ended.effects.seen
        names = ("GET qrs", "PUT qrs", "POST qrs", "GET proxy", "DELETE proxy", "GET qps")
        return ", ".join(f"{counted[name]} {name}" for name in names if counted[name]) or "none"

    @staticmethod
    def _events(rotator: Rotator) -> list[str]:
        path = rotator.state / journal_file.FILE
        if not path.exists():
            return []
        with closing(sqlite3.connect(path)) as database:
            rows = database.execute("SELECT kind, name, detail, outcome, ended FROM event ORDER BY id").fetchall()
        return [f"{kind} {name} {detail} {outcome}" for kind, name, detail, outcome, _ in rows]


def counted(story: Story, label: str) -> int:
    """How many effects of a kind a rotation has: it makes one."""
    return story.world.one.run("rotate --now").effects.seen[label]


def _keys(ring: Ring) -> str:
    return ", ".join(
        f"{key.fingerprint} {key.stage} {_told(key.created)} {_told(key.since)} {_told(key.not_after)}"
        + (f" sent over {key.sent_over}" if key.sent else "")
        for key in ring.keys
    )


def _rest(ring: Ring) -> str:
    told = ""
    if ring.intent is not None:
        intent = replace(ring.intent, id="", before_certificate=None)
        kept = "kept" if ring.intent.before_certificate else "none kept"
        way = "back" if intent.undoing else "forward"
        told += f"; {intent.kind} {intent.before} > {intent.after} {way}, {kept}, {_told(intent.started)}"
    if ring.delivery is not None:
        told += f"; delivery of {ring.delivery.fingerprint} failed {ring.delivery.attempts} times"
    if ring.retry is not None:
        told += f"; retry {ring.retry.attempts} at {_told(ring.retry.at)}"
    if ring.untested:
        told += "; previous untested"
    if ring.baseline is not None:
        told += f"; baseline {len(ring.baseline.nodes)}"
    return told + ("" if ring.proxy_id else "; no id")


def _told(moment: datetime) -> str:
    return f"{moment:%m-%dT%H:%M:%S}"
