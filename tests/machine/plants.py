"""Bugs planted on purpose, by which the tests beside this show that they would find them. Each patches one process."""

import os


def nothing_is_synced() -> None:
    """Every fsync of Python's is left out; SQLite's are its own."""
    os.fsync = lambda descriptor: None


def folders_are_not_synced() -> None:
    """A rename is trusted to last by itself."""
    sync = os.fsync

    def files_only(descriptor: int) -> None:
        if not os.path.isdir(f"/proc/self/fd/{descriptor}"):  # noqa: PTH112 - a descriptor
            sync(descriptor)

    os.fsync = files_only


def promote_before_test() -> None:
    """The new key is current as soon as it is sent: its test comes too late."""
    from rotator import steps  # noqa: PLC0415 - the process that is patched has it already
    from rotator.planning import stages  # noqa: PLC0415

    put = steps.set_certificate

    def promoting(scene, ring, proxy_id, **named):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN003, ANN202
        seen = put(scene, ring, proxy_id, **named)
        scene.world.keystore.save(stages.promoted(ring, scene.world.clock.now(), None))
        return seen

    steps.set_certificate = promoting


def send_before_the_intent() -> None:
    """The certificate is sent, and only then written down."""
    from rotator import steps  # noqa: PLC0415
    from rotator.planning.entity import with_certificate  # noqa: PLC0415

    opened = steps.open_intent

    def sending(scene, ring, observed, kind, pending):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        text = scene.world.keystore.certificate(pending.certificate)
        scene.world.repository.update(with_certificate(observed, text))
        return opened(scene, ring, observed, kind, pending)

    steps.open_intent = sending


def send_before_the_key_is_stored() -> None:
    """The key goes to the keyring after its certificate went to the server."""
    from rotator import steps  # noqa: PLC0415
    from rotator.keystore.key_items import KeyItems  # noqa: PLC0415
    from rotator.planning.entity import with_certificate  # noqa: PLC0415

    created, stored = steps._created, KeyItems.add_key

    def sending(scene, ring):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
        def adding(self, version, key):  # type: ignore[no-untyped-def]  # noqa: ANN001, ANN202
            observed = scene.world.repository.find(scene.spec.prefix)
            if observed is not None:
                text = scene.world.keystore.certificate(version.certificate)
                scene.world.repository.update(with_certificate(observed, text))
            stored(self, version, key)

        KeyItems.add_key = adding  # type: ignore[method-assign]
        return created(scene, ring)

    steps._created = sending

