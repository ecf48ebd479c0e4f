"""Files and folders that belong to one account alone, checked before they are trusted."""

from pathlib import Path

from rotator.errors import InstallationMismatch, KeyStoreUnavailable
from rotator.ownership import Cause, Use, guard


def make_private(folder: Path) -> None:
    """Make the folder for its owner alone, where it is not there. Raises KeyStoreUnavailable."""
    try:
        guard().make_folder(folder)
    except OSError as error:
        raise KeyStoreUnavailable(
            f"the folder {folder} cannot be made: {error.strerror}", hint="see that its parent belongs to this account"
        ) from None


def check_private(path: Path) -> None:
    """Raise InstallationMismatch for another account's folder or file, KeyStoreUnavailable for one that others can read.

    Root is no exception: what root writes here the service could not read.
    """
    fault = guard().fault(path, Use.PRIVATE)
    if fault is None:
        return
    if fault.cause is Cause.FOREIGN:
        raise InstallationMismatch(fault.message, hint=fault.hint)
    raise KeyStoreUnavailable(fault.message, hint=fault.hint)
