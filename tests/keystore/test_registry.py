"""Whose keyring it is, and its sites."""

from pathlib import Path

from stand_ins import KEY

from rotator.keystore import registry
from rotator.keystore.sealed_file import SealedFiles


def test_a_site_is_found_by_its_name_or_its_address(tmp_path: Path) -> None:
    store = SealedFiles(tmp_path / "keys", KEY)
    first = registry.Registry("i").with_site("prod", "https://qlik:4242")
    registry.write(store, first)
    found = registry.read(store)
    assert found == first
    assert found is not None
    entry = first.sites[0]
    assert found.find("renamed", "https://QLIK:4242") == entry
    assert found.find("prod", "https://elsewhere") == entry
    assert found.find("other", "https://elsewhere") is None
    renamed = found.with_site("renamed", "https://qlik:4242")
    assert [(site.id, site.name) for site in renamed.sites] == [(entry.id, "renamed")]
