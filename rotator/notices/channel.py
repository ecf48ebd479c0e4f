"""What every channel is."""

from typing import Protocol

from rotator.model import Notice


class Unsent(Exception):
    """The channel did not take the notice; the text says why, and goes on from the channel's name."""


class Channel(Protocol):
    """One way to tell people. `name` is the same from run to run: it says which notices went out by it."""

    @property
    def name(self) -> str:
        """As people and the outbox know it, e.g. `mail` or `hook 10-pager`."""

    def send(self, notice: Notice) -> None:
        """Tell the notice, within a time limit. Raises Unsent."""
