"""Stand-ins for the keyrings of other platforms, and for a master key."""

from pathlib import Path

from keyring.backend import KeyringBackend as Backend

from rotator.keystore.sealed_file_backend import SealedFileKeyring


KEY = bytes(range(32))


def sealed_keyring(folder: Path) -> SealedFileKeyring:
    made = SealedFileKeyring()  # type: ignore[no-untyped-call]
    made.folder, made.master_key = folder, KEY
    return made


class CredentialManager(Backend):
    """The limits of Windows' Credential Manager: 1,280 characters an item, nothing more."""

    priority = 1
    items: dict[tuple[str, str], str]

    def __init__(self, items: dict[tuple[str, str], str]) -> None:
        self.items = items

    def get_password(self, service: str, username: str) -> str | None:
        return self.items.get((service, username))

    def set_password(self, service: str, username: str, password: str) -> None:
        if len(password.encode("utf-16-le")) > 2560:
            raise OSError(1783, "The stub received bad data")
        if any(known == service and user != username for known, user in self.items):
            raise AssertionError("two items share a service: WinVaultKeyring would move one of them")
        self.items[service, username] = password

    def delete_password(self, service: str, username: str) -> None:
        del self.items[service, username]
