"""What `rotator keys export` gives to people who hand a key's public side on, or paste its certificate."""

from dataclasses import dataclass
from datetime import datetime

from rotator.errors import KeyMaterialError, KeyNotFound, KeyStoreCorrupt
from rotator.keys import PublicKey, inspect_certificate, own_certificate
from rotator.model import Digest, KeyVersion, ProxySpec, Ring, Stage
from rotator.ports import KeyStore


@dataclass(frozen=True, slots=True)
class PublicSide:
    """A public key and a certificate of it, as PEM that is encoded anew: what else a server's text held is left out.

    `version` is None for a key that the keyring does not have. `remarks` are what a person has to know of it.
    """

    key: PublicKey
    certificate: str
    version: KeyVersion | None
    remarks: tuple[str, ...]


def of_stage(spec: ProxySpec, ring: Ring, stage: Stage) -> KeyVersion:
    """The pending or current key. Raises KeyNotFound."""
    version = ring.at(stage)
    if version is None:
        raise KeyNotFound(f"{spec.name}: the keyring has no {stage} key", hint=f"see rotator keys list {spec.name}")
    return version


def public_side(spec: ProxySpec, keystore: KeyStore, stage: Stage, now: datetime) -> PublicSide:
    """That of the pending or current key; while a change is being undone, that of the certificate to put back.

    A certificate whose text is lost or damaged is made anew, where its private key is held: the server and rotator go
    by the key alone. Raises KeyNotFound, KeyStoreCorrupt, KeyMaterialError.
    """
    ring = keystore.ring()
    intent, remarks = ring.intent, []
    version: KeyVersion | None
    if stage is Stage.CURRENT and intent is not None and intent.undoing and intent.before_certificate is not None:
        version, text = ring.known(intent.before), intent.before_certificate
        remarks.append("a change is being undone: this is the certificate that belongs on the server")
    else:
        version = of_stage(spec, ring, stage)
        keystore.key(version)
        text = version.certificate
    try:
        key, certificate = _kept(keystore, text)
    except (KeyNotFound, KeyStoreCorrupt, KeyMaterialError) as error:
        if version is None:
            raise
        private = keystore.key(version)
        key, certificate = private.public, own_certificate(spec, private, now)
        remarks.append(f"{error.message}: this one was made just now, of the same key, and is stored nowhere")
    return PublicSide(key, certificate, version, tuple(remarks))


def _kept(keystore: KeyStore, name: Digest) -> tuple[PublicKey, str]:
    info = inspect_certificate(keystore.certificate(name))
    if info is None:
        raise KeyMaterialError(
            "the text in the keyring holds no certificate that can be read",
            hint="rotator recover says what can be done",
        )
    return info.public, info.pem
