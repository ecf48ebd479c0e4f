"""Files that another program has open, which Windows does not let be replaced meanwhile."""

from pathlib import Path

import pytest

from rotator import durable
from rotator.errors import KeyStoreUnavailable
from rotator.keystore.sealed_file import SealedFiles


def busy(code: int) -> PermissionError:
    error = PermissionError(13, "Permission denied")
    error.winerror = code  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize("code", durable.BUSY)
def test_a_file_that_somebody_reads_is_replaced_once_it_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, code: int
) -> None:
    store = SealedFiles(tmp_path / "keys", bytes(32))
    store.set("item", "old")
    left = [busy(code), busy(code)]
    replace = Path.replace

    def refused(self: Path, target: Path) -> Path:
        if left:
            raise left.pop()
        return replace(self, target)

    monkeypatch.setattr(Path, "replace", refused)
    store.set("item", "new")
    assert (store.get("item"), left) == ("new", [])


def test_patience_ends(tmp_path: Path) -> None:
    times = iter(range(100))

    def attempt() -> None:
        raise busy(32)

    pauses: list[float] = []
    with pytest.raises(PermissionError):
        durable.patiently(attempt, clock=lambda: next(times), pause=pauses.append)
    assert len(pauses) == durable.PATIENCE


def test_what_is_forbidden_is_not_tried_again() -> None:
    def attempt() -> None:
        raise PermissionError(13, "Permission denied")

    with pytest.raises(PermissionError):
        durable.patiently(attempt, pause=lambda _: pytest.fail("it waited"))


def test_a_store_that_stays_in_use_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    store = SealedFiles(tmp_path / "keys", bytes(32))
    store.set("item", "old")

    def refused(self: Path, target: Path) -> Path:
        raise busy(33)

    with monkeypatch.context() as patched:
        patched.setattr(Path, "replace", refused)
        with pytest.raises(KeyStoreUnavailable):
            store.set("item", "new")
    assert store.get("item") == "old"
