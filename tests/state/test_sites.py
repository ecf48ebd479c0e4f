"""Which site an id of the keyring is of: the journal goes by what it was told last."""

from pathlib import Path

import pytest
from values import NOW

from rotator.state.journal import Journal, site_id


PROD, TEST = ("prod", "qlik.example:4242"), ("test", "qlik-test.example:4242")


@pytest.mark.parametrize(
    ("noted", "known"),
    [
        pytest.param([], None, id="nothing"),
        pytest.param([("a", *PROD)], "a", id="by name and address"),
        pytest.param([("a", "prod", "moved.example:4242")], "a", id="by name"),
        pytest.param([("a", "renamed", PROD[1])], "a", id="by address"),
        pytest.param([("a", *TEST)], None, id="another site"),
        pytest.param([("a", "renamed", PROD[1]), ("b", "prod", "moved.example:4242")], "b", id="the name comes first"),
        pytest.param([("a", *PROD), ("b", *PROD)], "b", id="a new keyring"),
        pytest.param([("a", *PROD), ("b", *PROD), ("a", *PROD)], "a", id="the old keyring again"),
        pytest.param([("b", *PROD), ("a", *PROD), ("a", *PROD)], "a", id="told twice"),
        pytest.param([("b", *PROD), ("a", *TEST), ("a", *PROD)], "a", id="another name"),
    ],
)
def test_the_last_id_of_a_site_counts(tmp_path: Path, noted: list[tuple[str, str, str]], known: str | None) -> None:
    journal = Journal(tmp_path, lambda: NOW, lambda: 0, print)
    for entry in noted:
        journal.note_site(*entry)
    journal.close()
    assert site_id(tmp_path, *PROD) == known
