"""What `rotator keys export` gives to people who hand a key's public side on, or paste its certificate."""

from dataclasses import dataclass
from datetime import datetime

from rotator.errors import KeyMaterialError, KeyNotFound, KeyStoreCorrupt
from rotator.keys import CertificateInfo, PrivateKey, PublicKey, inspect_certificate, own_certificate
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

    A certificate that has ended, or whose text is lost or damaged, is made anew, where its private key is held: the
    server and rotator go by the key alone. Raises KeyNotFound, KeyStoreCorrupt, KeyMaterialError.
    """
    ring = keystore.ring()
    intent, remarks = ring.intent, []
    version: KeyVersion | None
    private: PrivateKey | None
    if stage is Stage.CURRENT and intent is not None and intent.undoing and intent.before_certificate is not None:
        version, text = ring.known(intent.before), intent.before_certificate
        remarks.append("a change is being undone: this is the certificate that belongs on the server")
    else:
        version = of_stage(spec, ring, stage)
        keystore.key(version)
        text = version.certificate
    try:
        kept = _kept(keystore, text)
    except (KeyNotFound, KeyStoreCorrupt, KeyMaterialError) as error:
        if version is None:
            raise
        private, why = keystore.key(version), error.message
    else:
        ended = kept.not_after <= now
        private, why = _held(keystore, version) if ended else None, "the certificate has ended"
        if private is None:
            remarks += [why] if ended else []
            return PublicSide(kept.public, kept.pem, version, tuple(remarks))
    remarks.append(f"{why}: this one was made just now, of the same key, and is stored nowhere")
    return PublicSide(private.public, own_certificate(spec, private, now), version, tuple(remarks))


def _held(keystore: KeyStore, version: KeyVersion | None) -> PrivateKey | None:
    try:
        return keystore.key(version) if version is not None else None
    except (KeyNotFound, KeyStoreCorrupt):
        return None


def _kept(keystore: KeyStore, name: Digest) -> CertificateInfo:
    info = inspect_certificate(keystore.certificate(name))
    if info is None:
        raise KeyMaterialError(
            "the text in the keyring holds no certificate that can be read",
            hint="rotator recover says what can be done",
        )
    return info
