"""Notices out of the outbox and into the channels: at least once each, in order, and never without an end."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from rotator.errors import LockHeld, NoticeFailed
from rotator.model import Notice, Telling
from rotator.notices import Channel, channels
from rotator.notices.channel import Unsent
from rotator.report.notice import subject
from rotator.state import lock, outbox
from rotator.state.outbox import Outbox, Waiting


LOCK_WAIT: Final = 90.0
"""Seconds to wait for another run that delivers notices or writes metrics."""


@dataclass(frozen=True, slots=True)
class Sent:
    """What a channel made of a notice: `cause` is why it did not take it, None where it did."""

    notice: Notice
    channel: str
    cause: str | None

    @property
    def error(self) -> NoticeFailed | None:
        """The error for a notice that was not taken."""
        if self.cause is None:
            return None
        of = f" of {self.notice.name}" if self.notice.name else ""
        return NoticeFailed(
            f"a notice ({self.notice.event}{of}) was not delivered: {self.channel} {self.cause}",
            hint="what waits is tried again by the next run; to try the channels at once: rotator notify --test",
        )


class Dispatch:
    """The channels of a configuration, and the outbox that they are fed from, by a run of `command`."""

    def __init__(self, telling: Telling, environ: Mapping[str, str], now: Callable[[], datetime], command: str) -> None:
        self._telling = telling
        self._environ = environ
        self._now = now
        self._command = command

    def at_once(self, notice: Notice) -> list[Sent]:
        """Through every channel now, past the outbox."""
        return [_send(channel, notice) for channel in self._channels()]

    def deliver(self) -> list[Sent]:
        """What waits, each notice to each channel that did not take it yet. Raises JournalError, ConfigError.

        A channel that fails is left alone until the next run, so that this takes no longer than each channel's limit.
        Another run that is delivering already delivers ours too: it looks again until nothing new waits.
        """
        state = self._telling.state
        try:
            with lock.held(state, "notices", self._command, self._now(), wait=LOCK_WAIT), Outbox(state) as box:
                return self._delivered(box)
        except LockHeld:
            return []

    def _channels(self) -> tuple[Channel, ...]:
        return channels(self._telling.notify, self._environ)

    def _delivered(self, box: Outbox) -> list[Sent]:
        sent: list[Sent] = []
        broken: set[str] = set()
        tried: set[str] = set()
        while fresh := [waiting for waiting in box.waiting() if waiting.notice.id not in tried]:
            for waiting in fresh:
                tried.add(waiting.notice.id)
                sent += self._tried(box, waiting, broken)
        sent += _bounded(box)
        box.tidy(self._now())
        return sent

    def _tried(self, box: Outbox, waiting: Waiting, broken: set[str]) -> Iterator[Sent]:
        """One notice to every channel that has not taken it; `broken` are those that failed in this run."""
        refused = []
        for channel in self._channels():
            if channel.name in waiting.taken:
                continue
            if channel.name in broken:
                refused.append(channel.name)
                continue
            sent = _send(channel, waiting.notice)
            yield sent
            if sent.cause is None:
                box.took(waiting.notice, channel.name)
            else:
                broken.add(channel.name)
                refused.append(channel.name)
        if not refused:
            box.delivered(waiting.notice)
        elif waiting.worn_out(self._now()):
            yield _given_up(box, waiting.notice, ", ".join(refused), f"in {outbox.GIVE_UP.days} days")
        else:
            box.again(waiting, self._now())


def _bounded(box: Outbox) -> Sequence[Sent]:
    """The oldest go where too many wait."""
    left = box.waiting()
    return [
        _given_up(box, waiting.notice, "a channel", f"while {outbox.LARGEST} newer ones came to wait")
        for waiting in left[: max(0, len(left) - outbox.LARGEST)]
    ]


def _given_up(box: Outbox, notice: Notice, channel: str, when: str) -> Sent:
    """The one loud line about a notice that nobody will get."""
    box.give_up(notice)
    return Sent(notice, channel, f"did not take it {when}: GIVEN UP: {subject(notice)}: {notice.message}")


def _send(channel: Channel, notice: Notice) -> Sent:
    try:
        channel.send(notice)
    except Unsent as cause:
        return Sent(notice, channel.name, str(cause))
    return Sent(notice, channel.name, None)
