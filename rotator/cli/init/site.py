"""The questions about a site: its address, its root, the name in its certificate, and the credentials, each tried at once."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import urlsplit

from rotator import diagnosis
from rotator.cli.init.interview import Interview, plain, table_name
from rotator.cli.init.interview import user as named_user
from rotator.config import values
from rotator.diagnosis import Health, Trial
from rotator.errors import KeyMaterialError, Refused, RotatorError, SecretUnavailable, UsageError
from rotator.keystore.secret_refs import read_text
from rotator.model import Auth, CertificateAccess, Node, ProxyService, SecretKind, SecretRef, Site, User, VirtualProxy
from rotator.qlik import first_contact, routes, tls
from rotator.qlik.doors import CertificateDoor
from rotator.qlik.qrs import Qrs
from rotator.qlik.transport import Transport


QRS_PORT: Final = 4242
USUAL_USER: Final = r"INTERNAL\sa_api"
_LEGACY: Final = "a file with the RC2 encryption of an old Windows needs OpenSSL's legacy provider: export it anew with AES256-SHA256"
_OTHER_PASSWORD: Final = f"type it again, or nothing to name another file; {_LEGACY}"
_ROOT: Final = "root.pem of the certificates that the QMC exports (Certificates, for this machine, in PEM)"


@dataclass(frozen=True, slots=True)
class Access:
    """A site whose QRS answers. `password` is that of the client certificate; `stored` whether it is where it belongs."""

    site: Site
    repository: Qrs
    password: str | None = field(repr=False)
    stored: bool
    version: str
    proxies: tuple[ProxyService, ...]
    nodes: tuple[Node, ...]
    virtual_proxies: tuple[VirtualProxy, ...]


def ask(interview: Interview, folder: Path, *, own: bool) -> Access:
    """Ask until the server has let us in. `folder` is where the configuration goes.

    `own`: rotator will run as the account that asks now, so that its keyring can take a password.
    """
    name = interview.ask("--site", "Name of the site", table_name, default="prod")
    qrs = interview.ask(
        "--qrs", "URL of QRS", _url, explain="The repository service of the central node, as https://HOST:4242."
    )
    root = interview.ask("--root-ca", "Its root certificate", lambda answer: _root(answer, qrs), explain=_ROOT)
    site = Site(
        name=name,
        qrs=qrs,
        root_ca=root,
        proxy_ca=str(root),
        auth=Auth.CERTIFICATE,
        server_name=_name(interview, qrs, root),
    )
    while True:
        try:
            access, password, stored = _certificate(interview, site, folder, own=own)
            return _as_user(interview, replace(site, certificate=access), password, stored=stored)
        except RotatorError as error:
            interview.failed(error, "--cert", "--key", "--pfx", "--password", "--password-from", "--user")


def _as_user(interview: Interview, site: Site, password: str | None, *, stored: bool) -> Access:
    """Ask for the user until one may do what is needed. Raises ServerError where the certificate may be at fault."""
    access = site.certificate
    assert access is not None  # noqa: S101 - the caller has just asked for it
    while True:
        user = interview.ask(
            "--user",
            "User to be at QRS",
            lambda answer: named_user(interview, "--user", answer),
            default=USUAL_USER,
        )
        try:
            named = replace(site, certificate=replace(access, user=user))
            return _let_in(interview, named, password, stored=stored)
        except Refused as error:
            interview.failed(error, "--user")


def _url(answer: str) -> str:
    """The URL, port 4242 where none is given, of something that can be connected to."""
    given = answer if "://" in answer else f"https://{answer}"
    url = values.url(given, Path())
    if urlsplit(url).port is None:
        url = f"{url}:{QRS_PORT}"
    first_contact.reach(routes.to_url(url, None, ""))
    return url


def _root(answer: str, qrs: str) -> Path:
    """A file of certificates that the server's own leads to."""
    path = values.path(answer, Path.cwd())
    first_contact.is_named(routes.to_url(qrs, None, str(path)))
    return path


def _name(interview: Interview, qrs: str, root: Path) -> str | None:
    """The name in the certificate, where it is not the one in the URL: Qlik issues it for the short host name."""
    host = str(urlsplit(qrs).hostname)
    if interview.given.get("--server-name") is None and first_contact.is_named(routes.to_url(qrs, None, str(root))):
        return None
    short = host.partition(".")[0]
    fits = first_contact.is_named(routes.to_url(qrs, short, str(root)))
    found = interview.ask(
        "--server-name",
        "Name in the certificate",
        lambda answer: _fits(answer, qrs, root),
        default=short if fits else None,
        explain=f"The server's certificate is not for {host}. Name the host that it is for, and it is checked for that name; "
        f"openssl s_client -connect {urlsplit(qrs).netloc} shows it.",
    )
    return None if found == host else found


def _fits(answer: str, qrs: str, root: Path) -> str:
    name = values.host(answer, Path())
    first_contact.greet(routes.to_url(qrs, name, str(root)))
    return name


def _certificate(
    interview: Interview, site: Site, folder: Path, *, own: bool
) -> tuple[CertificateAccess, str | None, bool]:
    """The client certificate, opened, with its password and whether that is stored where the configuration says."""
    root = str(site.root_ca)
    if "--cert" in interview.given or "--pfx" in interview.given:
        flag = "--pfx" if "--pfx" in interview.given else "--cert"
    else:
        flag = "--cert"
    path = interview.ask(
        flag,
        "Client certificate",
        lambda answer: _client(answer, pfx=flag == "--pfx"),
        explain="Exported in the QMC too, with its secrets key: client.pem, or a file in PKCS#12 (client.pfx).",
    )
    user = User("INTERNAL", "sa_api")
    if not _is_pem(path):
        access = CertificateAccess(user, pfx=path)
    else:
        beside = path.with_name(path.stem + "_key" + path.suffix)
        key = interview.ask("--key", "Its private key", _readable, default=str(beside) if beside.exists() else None)
        access = CertificateAccess(user, cert=path, key=key)
    password, reference, stored = None, None, True
    if first_contact.needs_password(access):
        password, reference, stored = _password(interview, access, root, folder, own=own)
    elif "--password" in interview.given:
        raise KeyMaterialError(f"{path} opens without a password", hint="leave --password out")
    with _hint("name the key that was exported with the certificate, in PEM"):
        tls.with_client_certificate(root, access, password)
    return replace(access, password=reference), password, stored


def _readable(answer: str) -> Path:
    path = values.path(answer, Path.cwd())
    with _hint("name a file that is there, and that this account may read"):
        tls.read(path)
    return path


def _client(answer: str, *, pfx: bool) -> Path:
    """A file that a client certificate can be in. Raises KeyMaterialError."""
    path = _readable(answer)
    if (pfx or not _is_pem(path)) and not first_contact.is_pkcs12(tls.read(path)):
        raise KeyMaterialError(
            f"{path} is {'no whole file in PKCS#12' if pfx else 'neither in PEM nor a whole file in PKCS#12'}",
            hint="give client.pem or client.pfx of the certificates that the QMC exports",
        )
    return path


def _is_pem(path: Path) -> bool:
    return tls.read(path).lstrip().startswith(b"-----BEGIN")


@contextmanager
def _hint(said: str) -> Iterator[None]:
    """What to do about a client certificate before there is a configuration that names it."""
    try:
        yield
    except KeyMaterialError as error:
        if "[site.NAME" in str(error.hint):
            error.hint = said
        raise


def _password(
    interview: Interview, access: CertificateAccess, root: str, folder: Path, *, own: bool
) -> tuple[str, SecretRef, bool]:
    """The password, where the configuration says that it is, and whether it is there already."""

    def opens(password: str) -> str:
        # One that has expired is no fault of the password's, and told when it is used.
        with _hint(_OTHER_PASSWORD if interview.asking else f"see --password-from or --password; {_LEGACY}"):
            if password and tls.expiry(access, password) > datetime.now(UTC):
                tls.with_client_certificate(root, access, password)
        return password

    there = interview.given.get("--password")
    if there is not None and "--password-from" not in interview.given:
        reference = interview.ask("--password", "Where it is", plain(values.secret))
        try:
            return opens(read_text(reference, os.environ)), reference, True
        except SecretUnavailable:
            if not interview.asking:
                raise
    password = interview.ask("--password-from", "Its password", opens, secret=True)
    if not password:
        raise KeyMaterialError(f"{access.key or access.pfx} was not opened", hint="name it again, or another file")
    reference = interview.ask(
        "--password",
        "Where is it to be kept",
        lambda answer: _free(values.secret(answer, Path.cwd()), password, own=own),
        default=f"file:{folder / 'client.password'}",
        explain="For runs without you: file:PATH (a new file, for its owner alone), keyring:NAME (in the keyring of the keys),\n"
        "or credential:NAME (a systemd credential, which you make by the command that is shown at the end).",
    )
    return password, reference, reference.kind is SecretKind.FILE and Path(reference.name).exists()


def _free(reference: SecretRef, password: str, *, own: bool) -> SecretRef:
    """A place that is free, or holds this very password. Raises UsageError, SecretUnavailable."""
    if reference.kind is SecretKind.KEYRING and not own:
        raise UsageError(
            f"{reference}: the keyring belongs to the account that will run rotator",
            hint=f"run rotator init as that account, or keep it in file:PATH or credential:{reference.name}",
        )
    there = reference.kind is SecretKind.FILE and Path(reference.name).exists()
    # What Windows protects is made by another command, and has to be there.
    if (there or reference.kind is SecretKind.DPAPI) and read_text(reference, os.environ) != password:
        raise UsageError(f"{reference.name} is there already, and holds something else", hint="name another file")
    return reference


def tell(interview: Interview, trial: Trial, *, failed: bool = False) -> None:
    """A trial, with its hint where no error follows that has it."""
    told = interview.say if trial.health is Health.OK else interview.warn
    told(f"rotator: {trial.check}: {trial.message}")
    if trial.hint and not failed:
        told(f"rotator: hint: {trial.hint}")


def _let_in(interview: Interview, site: Site, password: str | None, *, stored: bool) -> Access:
    """QRS asked: the credentials work, and everything is visible. Raises ServerError, Refused."""
    access = site.certificate
    assert access is not None  # noqa: S101 - the caller has just asked for it
    context = tls.with_client_certificate(str(site.root_ca), access, password)
    repository = Qrs(CertificateDoor(Transport(routes.to_qrs(site), context), access.user))
    version = repository.build_version()
    interview.say("")
    for trial in diagnosis.site(repository, tls.expiry(access, password), datetime.now(UTC)):
        tell(interview, trial, failed=trial.health is Health.FAILED)
        if trial.health is Health.FAILED:
            raise Refused(f"{access.user} at {site.qrs}: {trial.message}", hint=trial.hint)
    return Access(
        site,
        repository,
        password,
        stored,
        version,
        repository.proxies(),
        repository.nodes(),
        repository.virtual_proxies(),
    )
