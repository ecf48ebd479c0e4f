"""Retired keys that are old enough to go, for runs whose clock is the real one."""

from dataclasses import replace
from datetime import timedelta

from sandbox_process import Sandbox

from rotator.cli.keyring import Keyring
from rotator.config import load
from rotator.keystore.key_items import KeyItems
from rotator.model import Stage


AGE = timedelta(days=8)


def items(sandbox: Sandbox) -> KeyItems:
    """What the keyring has of the virtual proxy."""
    config = load(sandbox.config, {})
    return Keyring(config).keystore(config.proxies["portal"])


def let_retired_keys_age(sandbox: Sandbox) -> None:
    """Let there be a retired key at least, and let them all have been retired long ago."""
    while not any(key.stage is Stage.RETIRED for key in items(sandbox).ring().keys):
        ended = sandbox.rotator("rotate", "--now")
        assert ended.status == 0, ended.err
    ring = items(sandbox).ring()
    aged = [replace(key, since=key.since - AGE) if key.stage is Stage.RETIRED else key for key in ring.keys]
    items(sandbox).save(replace(ring, keys=tuple(aged)))
