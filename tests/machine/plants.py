"""Bugs planted on purpose, by which the tests beside this show that they would find them. Each patches one process."""

import os
from collections.abc import Callable
from typing import Any


def patch(owner: Any, name: str, value: Any) -> None:
    """Put `value` in the place of what is there."""
    setattr(owner, name, value)


def nothing_is_synced() -> None:
    """Every fsync of Python's is left out; SQLite's are its own."""
    patch(os, "fsync", lambda descriptor: None)


def folders_are_not_synced() -> None:
    """A rename is trusted to last by itself."""
    sync = os.fsync

    def files_only(descriptor: Any) -> None:
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor
            sync(descriptor)

    patch(os, "fsync", files_only)


def new_folders_are_not_synced() -> None:
    """The folders of the first run are trusted to last by themselves."""
    from rotator.keystore import sealed_file
    from rotator.state import directory

    for module in (sealed_file, directory):
        patch(module, "sync_place", lambda folder: None)


def promote_before_test() -> None:
    """The new key is current as soon as it is sent: its test comes too late."""
    from rotator import steps
    from rotator.planning import stages

    test = steps.test

    def promoting(scene: Any, change: Any, *rest: Any) -> Any:
        keystore = scene.world.keystore
        keystore.save(stages.promoted(keystore.ring(), scene.world.clock.now(), None))
        return test(scene, change, *rest)

    patch(steps, "test", promoting)


def unknown_is_a_failure() -> None:
    """That nobody knows whether the certificate is in place ends as if the old one were."""
    from rotator.errors import ExitStatus, UnknownState

    patch(UnknownState, "exit_status", ExitStatus.FAILED)


def send_before_the_intent() -> None:
    """The certificate is sent, and only then written down."""
    from rotator import intents

    patch(intents, "open_intent", _sending(intents.open_intent))


def _sending(opened: Callable[..., Any]) -> Callable[..., Any]:
    def sending(scene: Any, ring: Any, observed: Any, kind: Any, pending: Any) -> Any:
        _send(scene, pending)
        return opened(scene, ring, observed, kind, pending)

    return sending


def send_before_the_key_is_stored() -> None:
    """The key goes to the keyring after its certificate went to the server."""
    from rotator import steps
    from rotator.recorded import RecordedKeyStore
    from rotator.steps import _created

    stored = RecordedKeyStore.add_key

    def creating(scene: Any, ring: Any) -> Any:
        def adding(self: Any, version: Any, key: Any) -> None:
            _send(scene, version)
            stored(self, version, key)

        patch(RecordedKeyStore, "add_key", adding)
        return _created(scene, ring)

    patch(steps, "_created", creating)


def _send(scene: Any, version: Any) -> None:
    from rotator.planning.entity import with_certificate

    text = scene.world.keystore.certificate(version.certificate)
    scene.world.repository.update(with_certificate(scene.world.repository.find(scene.spec.prefix), text))
