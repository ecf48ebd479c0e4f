"""The keyrings of operating systems, through the keyring library: the backend that was configured and no other."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Final

from rotator.errors import KeyStoreUnavailable
from rotator.keystore.timelimit import CALL_LIMIT, limited
from rotator.model import KeyringBackend


if TYPE_CHECKING:
    from keyring.backend import KeyringBackend as Backend

SERVICE: Final = "rotator"
ALLOWED: Final = {
    KeyringBackend.SECRET_SERVICE: "keyring.backends.SecretService.Keyring",
    KeyringBackend.WINDOWS: "keyring.backends.Windows.WinVaultKeyring",
    KeyringBackend.MACOS: "keyring.backends.macOS.Keyring",
}
"""The qualified class that each backend must be. The library's own choice, its configuration file and
PYTHON_KEYRING_BACKEND play no part; null, plaintext and chainer backends cannot come in."""
_HINTS: Final = {
    KeyringBackend.SECRET_SERVICE: "a Secret Service must run on the session bus and be unlocked; on a server "
    'without a session: rotator install-units --keyring secret-service, or backend = "sealed-file"',
    KeyringBackend.WINDOWS: "the Credential Manager belongs to the account that runs rotator, on Windows alone",
    KeyringBackend.MACOS: "the keychain belongs to the account that runs rotator, on macOS alone",
}


def construct(backend: KeyringBackend) -> "Backend":
    """A new instance of the configured backend's class. Raises KeyStoreUnavailable where it does not work here."""
    import importlib  # noqa: PLC0415 - the library takes 120 ms and is not always the one in use

    module, _, name = ALLOWED[backend].rpartition(".")
    try:
        found = getattr(importlib.import_module(module), name)
        viable = bool(found.viable)
    except Exception as error:  # noqa: BLE001 - platform modules fail in many ways
        raise _unavailable(backend, _named(error)) from None
    if not viable or f"{found.__module__}.{found.__qualname__}" != ALLOWED[backend]:
        raise _unavailable(backend, "it does not work on this machine")
    instance: Backend = _without_environment(found)()
    if backend is KeyringBackend.WINDOWS:
        # Else keys follow a roaming profile to other machines.
        instance.persist = "local machine"  # type: ignore[attr-defined]
    return instance


def _without_environment(found: "type[Backend]") -> "type[Backend]":
    """The class without its way to let KEYRING_PROPERTY_* of the environment choose where keys are kept."""
    return type(found.__name__, (found,), {"set_properties_from_env": lambda _: None})


class OsKeyring:
    """One keyring of the operating system. Every call has a time limit.

    `connect` makes a new connection; `separate` gives each item a service of its own, as the Credential Manager moves
    entries about that share one.
    """

    def __init__(
        self,
        backend: KeyringBackend,
        connect: "Callable[[], Backend] | None" = None,
        *,
        separate: bool = False,
        limit: float = CALL_LIMIT,
    ) -> None:
        self._backend = backend
        self._connect = connect or (lambda: construct(backend))
        self._separate = separate
        self._limit = limit
        self._keyring = limited(self._connect, f"opening {backend}", limit)

    def reopened(self) -> "OsKeyring":
        """The same keyring through a new connection."""
        return OsKeyring(self._backend, self._connect, separate=self._separate, limit=self._limit)

    def get(self, name: str) -> str | None:
        """The text of an item, None where there is none. Raises KeyStoreUnavailable."""
        found = self._call(lambda: self._keyring.get_password(self._service(name), name), f"reading {name}")
        return None if found is None else str(found)

    def set(self, name: str, text: str) -> None:
        """Store an item. Raises KeyStoreUnavailable."""
        self._call(lambda: self._keyring.set_password(self._service(name), name, text), f"storing {name}")

    def delete(self, name: str) -> None:
        """Remove an item, if it is there. Raises KeyStoreUnavailable."""
        if self.get(name) is not None:
            self._call(lambda: self._keyring.delete_password(self._service(name), name), f"deleting {name}")

    def _service(self, name: str) -> str:
        return f"{SERVICE}/{name}" if self._separate else SERVICE

    def _call(self, call: Callable[[], Any], what: str) -> Any:  # noqa: ANN401 - whatever the call gives
        try:
            return limited(call, what, self._limit)
        except KeyStoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 - each platform raises its own; its text may hold the value
            raise _unavailable(self._backend, f"{what}: {_named(error)}") from None


def _named(error: BaseException) -> str:
    """The class of an error and of what caused it: `InitError (PromptDismissedException)`."""
    cause = "" if error.__cause__ is None else f" ({_named(error.__cause__)})"
    return type(error).__name__ + cause


def _unavailable(backend: KeyringBackend, cause: str) -> KeyStoreUnavailable:
    return KeyStoreUnavailable(f"the keyring {backend} cannot be used: {cause}", hint=_HINTS.get(backend))
