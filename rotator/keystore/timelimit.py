"""A limit on calls that may never come back: an unlock without anybody to ask, a bus without an answer."""

import threading
from collections.abc import Callable
from typing import Final, TypeVar

from rotator.errors import KeyStoreUnavailable


T = TypeVar("T")
CALL_LIMIT: Final = 10.0
"""Seconds a call of the keyring may take."""


def limited(call: Callable[[], T], what: str, limit: float = CALL_LIMIT) -> T:
    """The result of `call`, or its error. Raises KeyStoreUnavailable after `limit` seconds.

    The call goes on in a daemon thread, which does not keep the process from ending.
    """
    done: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            done.append(call())
        except BaseException as error:  # noqa: BLE001 - handed to the caller below
            failed.append(error)

    thread = threading.Thread(target=run, daemon=True, name="rotator-keyring")
    try:
        thread.start()
    except RuntimeError:
        raise KeyStoreUnavailable(
            f"the keyring cannot be asked: this machine has no room for a thread: {what}",
            hint="see its memory and limits (free, ulimit -u), then try again",
        ) from None
    thread.join(limit)
    if failed:
        raise failed[0]
    if done:
        return done[0]
    raise KeyStoreUnavailable(
        f"the keyring gave no answer within {limit:.0f} s: {what}",
        hint="it may be locked and waiting for a password that nobody is asked for: unlock it, or use sealed-file",
    )
