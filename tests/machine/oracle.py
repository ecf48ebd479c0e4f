"""The oracle: what keyring, server and journal say of each other, by code that is none of rotator's.

It reads the sealed-file store by its documented layout, asks QRS with the client certificate, and logs in on every
proxy with tokens that it signs itself. It answers with sentences: each is a promise that does not hold.
"""

import base64
import contextlib
import hashlib
import http.client
import json
import sqlite3
import ssl
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote, urlsplit

from cryptography import x509
from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from joserfc import jwk, jwt

from machine.sealed import Damaged, SealedFolder


PREFIX: Final = "portal"
USER: Final = ("ORACLE", "delphi")
Answered = tuple[int, http.client.HTTPMessage, bytes]
LATEST: Final = 30.0
"""Seconds that one exchange may take."""


@dataclass
class Keyring:
    """The ring's index as it is stored (empty where there is none), and the private keys by fingerprint."""

    index: dict[str, Any] = field(default_factory=dict)
    keys: dict[str, jwk.RSAKey] = field(default_factory=dict)
    certificates: dict[str, str] = field(default_factory=dict)
    installation: str | None = None
    base: str = ""

    def stage(self, stage: str) -> list[str]:
        """The fingerprints in this stage."""
        return [key["fingerprint"] for key in self.index.get("keys", []) if key["stage"] == stage]


@dataclass
class Server:
    """What QRS shows: the certificate's fingerprint and the hosts that the virtual proxy is linked to."""

    id: str
    fingerprint: str | None
    certificate: str
    linked: list[str]


@dataclass(frozen=True)
class Before:
    """What a run began with: the certificates of which it may leave one if it fails, the hosts of the proxies that let the
    key of the one that was shown in, and all keys there were.

    A run that finds a change under way may go back to the key that was current before that change.
    """

    kept: frozenset[str]
    letting_in: list[str]
    keys: dict[str, jwk.RSAKey]


class Oracle:
    """`folder` is the sandbox's, `disk` holds `keys` and `state`; `ahead` gives the seconds that the clocks are ahead."""

    def __init__(self, folder: Path, ready: dict[str, Any], disk: Path, ahead: Callable[[], float]) -> None:
        self._keys = disk / "keys"
        self._state = disk / "state"
        self._master = base64.b64decode((folder / "master.key").read_bytes())
        self._qrs = str(ready["qrs"])
        self._proxies = {proxy["host"]: str(proxy["url"]) for proxy in ready["proxies"]}
        self._ahead = ahead
        self.lost: dict[str, jwk.RSAKey] = {}
        """Keys that were in the keyring until it was lost, or given to somebody else: the server may show them all the same."""
        self._anyone = ssl.create_default_context(cafile=str(folder / "root.pem"))
        self._admin = ssl.create_default_context(cafile=str(folder / "root.pem"))
        self._admin.load_cert_chain(folder / "client.pem", folder / "client_key.pem")

    # --- what there is

    def keyring(self) -> Keyring:
        """What is stored. Raises Damaged."""
        store = SealedFolder(self._keys, self._master)
        told = store.get("installation")
        if told is None:
            return Keyring()
        registry = json.loads(told)
        found = Keyring(installation=registry["installation"])
        for site in registry["sites"]:
            found.base = f"{site['id']}/{PREFIX}"
            text = store.get(f"{found.base}/index")
            found.index = {} if text is None else json.loads(text)
        for key in found.index.get("keys", []):
            item = store.get(f"{found.base}/key/{key['item']}")
            if item is not None:
                name, private = loaded(item)
                found.keys[name] = private
        for name in self._named(found.index):
            item = store.get(f"{found.base}/certificate/{name[:32]}")
            if item is not None:
                found.certificates[name] = base64.b64decode(item).decode()
        return found

    @staticmethod
    def _named(index: dict[str, Any]) -> set[str]:
        names = {key["certificate"] for key in index.get("keys", [])}
        before = (index.get("intent") or {}).get("before_certificate")
        return names | ({before} if before else set())

    def server(self) -> Server | None:
        """The virtual proxy as QRS shows it, None where there is none."""
        found = self._ask("GET", "/qrs/virtualproxyconfig/full", f"prefix eq '{PREFIX}'")
        if not found:
            return None
        entity = found[0]
        linked = [
            service["serverNodeConfiguration"]["hostName"]
            for service in self._ask("GET", "/qrs/proxyservice/full")
            if entity["id"] in [item["id"] for item in service["settings"]["virtualProxies"]]
        ]
        text = entity["jwtPublicKeyCertificate"]
        return Server(entity["id"], certificate_fingerprint(text), text, linked)

    def remove_virtual_proxy(self, prefix: str = PREFIX) -> None:
        """An admin deletes the virtual proxy in the QMC."""
        for entity in self._ask("GET", "/qrs/virtualproxyconfig/full", f"prefix eq '{prefix}'"):
            self._ask("DELETE", f"/qrs/virtualproxyconfig/{entity['id']}")

    def disturb(self) -> None:
        """An admin changes the virtual proxy in the QMC, and unlinks it from the last proxy."""
        entity = self._ask("GET", "/qrs/virtualproxyconfig/full", f"prefix eq '{PREFIX}'")[0]
        self._ask("PUT", f"/qrs/virtualproxyconfig/{entity['id']}", body={**entity, "sessionInactivityTimeout": 7})
        service = self._ask("GET", "/qrs/proxyservice/full")[-1]
        links = service["settings"]["virtualProxies"]
        service["settings"]["virtualProxies"] = [item for item in links if item["id"] != entity["id"]]
        self._ask("PUT", f"/qrs/proxyservice/{service['id']}", body=service)

    def restart_proxies(self) -> None:
        """An admin saves each proxy in the QMC as it is, which restarts it: one that stood still takes its settings."""
        for service in self._ask("GET", "/qrs/proxyservice/full"):
            self._ask("PUT", f"/qrs/proxyservice/{service['id']}", body=service)

    def _ask(self, method: str, path: str, query: str = "", body: Any = None) -> Any:
        xrf = "0123456789abcdef"
        url = f"{path}?xrfkey={xrf}" + (f"&filter={quote(query)}" if query else "")
        headers = {"X-Qlik-Xrfkey": xrf, "X-Qlik-User": "UserDirectory=INTERNAL; UserId=sa_api"}
        data = None if body is None else json.dumps(body)
        status, _, body = self._patiently(lambda: exchange(self._qrs, self._admin, method, url, headers, data))
        assert status < 300, (method, path, status, body[:200])
        return json.loads(body) if body else None

    @staticmethod
    def _patiently(ask: Callable[[], Answered]) -> Answered:
        """QRS may have been restarted a moment ago."""
        until = time.monotonic() + LATEST
        while True:
            try:
                return ask()
            except OSError:
                if time.monotonic() > until:
                    raise
            time.sleep(0.05)

    def login(self, host: str, key: jwk.RSAKey) -> str:
        """Log in on a proxy, and out again: `in`, `refused`, `elsewhere` (not served yet), or `silent`."""
        now = int(time.time() + self._ahead())
        claims = {"userDirectory": USER[0], "userId": USER[1], "iat": now, "nbf": now - 60, "exp": now + 300}
        token = jwt.encode({"alg": "RS256"}, claims, key)
        path = f"/{PREFIX}/qps/user"
        try:
            status, headers, body = exchange(
                self._proxies[host], self._anyone, "GET", path, {"Authorization": f"Bearer {token}"}
            )
            for cookie in headers.get_all("Set-Cookie", []):
                exchange(self._proxies[host], self._anyone, "DELETE", path, {"Cookie": cookie.partition(";")[0]})
        except OSError:
            return "silent"
        if status == 200 and json.loads(body)["userId"] == USER[1]:
            return "in"
        return {401: "refused", 400: "elsewhere"}.get(status, f"status {status}")

    def lose(self) -> None:
        """The keyring is about to be lost, or its keys to be given away."""
        self.lost = self._held(self.keyring())

    def _held(self, keyring: Keyring) -> dict[str, jwk.RSAKey]:
        return {**self.lost, **keyring.keys}

    # --- what must hold

    def before(self) -> Before | None:
        """What a run is about to begin with; None without a virtual proxy that holds a certificate."""
        keyring, server = self.keyring(), self.server()
        if server is None or server.fingerprint is None:
            return None
        kept, keys = frozenset((server.fingerprint, *keyring.stage("current"))), self._held(keyring)
        shown = keys.get(server.fingerprint)
        return Before(kept, [host for host in server.linked if shown and self.login(host, shown) == "in"], keys)

    def not_kept(self, before: Before) -> list[str]:
        """What exit status 1 promises and does not hold: that the key that was current is there still, and logs in."""
        server = self.server()
        shown = server.fingerprint if server else None
        if shown not in before.kept:
            kept = sorted(name[:12] for name in before.kept)
            return [f"it failed, and the server shows {(shown or 'no certificate')[:12]}, not {' or '.join(kept)}"]
        answers = {host: self.login(host, before.keys[shown]) for host in before.letting_in}
        return [
            f"it failed, and {shown[:12]}, which was current, is {answer} on {host}"
            for host, answer in answers.items()
            if answer != "in"
        ]

    def broken_now(self) -> list[str]:
        """What must hold at every instant, and does not."""
        try:
            keyring = self.keyring()
        except Damaged as error:
            return [f"the keyring cannot be read: {error}"]
        server = self.server()
        if server is None:
            return []
        broken = []
        shown, held = server.fingerprint, self._held(keyring)
        if shown is not None and shown not in held:
            broken.append(f"the server shows {shown[:12]}, whose private key is not in the keyring")
        intent = keyring.index.get("intent")
        before = intent and intent["before_certificate"]
        if before and before not in keyring.certificates:
            broken.append("the certificate to be put back is not in the keyring")
        newest_first = list(reversed(held))
        order = sorted(newest_first, key=lambda name: name != shown)
        for host in server.linked:
            answers = []
            for name in order:
                answers.append(self.login(host, held[name]))
                if answers[-1] in ("in", "silent", "elsewhere"):
                    break
            if not {"in", "silent", "elsewhere"} & set(answers):
                broken.append(f"no stored key logs in on {host}: {answers or 'there is none'}")
        return broken

    def broken_settled(self) -> list[str]:
        """What must hold once everything has come to rest, and does not."""
        broken = self.broken_now()
        try:
            keyring, server = self.keyring(), self.server()
        except Damaged as error:
            return [str(error)]
        if server is None:
            return [*broken, "there is no virtual proxy"]
        current = keyring.stage("current")
        if current != [server.fingerprint]:
            told = (server.fingerprint or "no certificate")[:12]
            broken.append(f"the server shows {told}, current in the keyring is {[name[:12] for name in current]}")
        broken += [f"an open {what}" for what in ("intent", "delivery") if keyring.index.get(what)]
        broken += [
            f"a pending key that was sent: {key['fingerprint'][:12]}"
            for key in keyring.index.get("keys", [])
            if key["stage"] == "pending" and key["sent"]
        ]
        lost = [
            key["fingerprint"][:12] for key in keyring.index.get("keys", []) if key["fingerprint"] not in keyring.keys
        ]
        broken += [f"the keyring names the key {name}, but does not have it" for name in lost]
        if sorted(server.linked) != sorted(self._proxies):
            broken.append(f"linked to {server.linked} alone")
        for host in server.linked:
            for stage, wanted in (("current", "in"), ("previous", "refused")):
                for name in keyring.stage(stage):
                    came = self.login(host, keyring.keys[name]) if name in keyring.keys else "lost"
                    if came != wanted:
                        broken.append(f"the {stage} key {name[:12]} is {came} on {host}")
        return broken + self._state_disagrees(keyring)

    def _state_disagrees(self, keyring: Keyring) -> list[str]:
        broken = []
        mark = self._state / "installation"
        told = mark.read_text().strip() if mark.exists() else None
        if told != keyring.installation:
            broken.append(f"the state is of the installation {told}, the keyring of {keyring.installation}")
        if not (self._state / "journal.sqlite").exists():
            return [*broken, "there is no journal"]
        uri = f"{(self._state / 'journal.sqlite').as_uri()}?mode=rw"
        with contextlib.closing(sqlite3.connect(uri, uri=True)) as journal:
            health = journal.execute("PRAGMA integrity_check").fetchone()[0]
            number = journal.execute("SELECT number FROM generation WHERE ring = ?", (keyring.base,)).fetchone()
            unended = journal.execute("SELECT count(*) FROM run WHERE outcome = 'open'").fetchone()[0]
        if health != "ok":
            broken.append(f"the journal is damaged: {health}")
        generation = keyring.index.get("generation")
        if not number or number[0] != generation:
            broken.append(f"the journal knows generation {number}, the keyring {generation}")
        if unended:
            broken.append(f"{unended} runs in the journal that never ended")
        return broken


def exchange(
    base: str, context: ssl.SSLContext, method: str, path: str, headers: dict[str, str], data: str | None = None
) -> Answered:
    """One request on a connection of its own. Raises OSError."""
    address = urlsplit(base)
    connection = http.client.HTTPSConnection(address.hostname or "", address.port, context=context, timeout=LATEST)
    try:
        connection.request(method, path, data, headers)
        answer = connection.getresponse()
        return answer.status, answer.headers, answer.read()
    except http.client.HTTPException as error:
        raise OSError(str(error)) from error
    finally:
        connection.close()


@lru_cache
def loaded(item: str) -> tuple[str, jwk.RSAKey]:
    """The fingerprint and the private key of an item, base64 of PKCS#8 DER."""
    # Whether its numbers are prime takes most of the oracle's time, and the login tells whether the key is right.
    key = serialization.load_der_private_key(base64.b64decode(item), None, unsafe_skip_rsa_key_validation=True)
    assert isinstance(key, RSAPrivateKey)
    return fingerprint(key.public_key()), jwk.RSAKey(key, key)


def fingerprint(key: RSAPublicKey) -> str:
    """SHA-256 of the SubjectPublicKeyInfo."""
    spki = key.public_bytes(serialization.Encoding.DER, serialization.PublicFormat.SubjectPublicKeyInfo)
    return hashlib.sha256(spki).hexdigest()


def certificate_fingerprint(text: str) -> str | None:
    """The fingerprint of a certificate's key, None of what is no certificate."""
    try:
        key = x509.load_pem_x509_certificate(text.encode()).public_key()
    except ValueError:
        return None
    return fingerprint(key) if isinstance(key, RSAPublicKey) else None
