"""Long texts over a keyring whose items are short: the Credential Manager holds 1,280 characters, a key needs 1,600."""

import json
import secrets
from typing import Final

from rotator.errors import KeyStoreCorrupt, KeyStoreUnavailable
from rotator.ports import SecretStore


PART_LENGTH: Final = 1200
"""Characters per part: below the 1,280 (2,560 bytes of UTF-16) that an item may have."""
READS: Final = 8
"""How often an item is read that is written anew while it is read. A rotation writes one a few times in seconds."""


class Split:
    """A SecretStore that keeps each text as parts of a generation, and a head that names the generation.

    The parts of a new generation are written first, then the head, then the old parts go: at every instant the head
    names parts that are all there.
    """

    def __init__(self, store: SecretStore) -> None:
        self._store = store

    def reopened(self) -> "Split":
        """The same through a new connection."""
        return Split(self._store.reopened())

    def get(self, name: str) -> str | None:
        """The whole text, None where there is none. Raises KeyStoreCorrupt where a part is missing.

        Who reads without a lock may find the parts gone that the head named: then a writer has named others meanwhile.
        """
        head = self._head(name)
        for _ in range(READS):
            if head is None:
                return None
            parts = [self._store.get(part) for part in _parts(name, *head)]
            whole = [part for part in parts if part is not None]
            if len(whole) == len(parts):
                return "".join(whole)
            before, head = head, self._head(name)
            if head == before:
                raise KeyStoreCorrupt(
                    f"the item {name} lacks {len(parts) - len(whole)} of its {len(parts)} parts",
                    hint="somebody deleted entries of rotator in the Credential Manager; restore them from a backup",
                )
        raise KeyStoreUnavailable(
            f"the item {name} is written again and again while it is read",
            hint="another rotator is at work: wait for it to end, then try again",
        )

    def set(self, name: str, text: str) -> None:
        """Store a text of any length."""
        before = self._head(name)
        pieces = [text[start : start + PART_LENGTH] for start in range(0, len(text), PART_LENGTH)] or [""]
        generation = secrets.token_hex(4)
        for part, piece in zip(_parts(name, generation, len(pieces)), pieces, strict=True):
            self._store.set(part, piece)
        self._store.set(name, json.dumps({"generation": generation, "parts": len(pieces)}))
        self._drop(name, before)

    def delete(self, name: str) -> None:
        """Remove an item with its parts: the head first, so that no head names parts that are gone."""
        before = self._head(name)
        self._store.delete(name)
        self._drop(name, before)

    def _drop(self, name: str, head: tuple[str, int] | None) -> None:
        for part in _parts(name, *head) if head else ():
            self._store.delete(part)

    def _head(self, name: str) -> tuple[str, int] | None:
        text = self._store.get(name)
        if text is None:
            return None
        try:
            head = json.loads(text)
            return str(head["generation"]), int(head["parts"])
        except (ValueError, TypeError, KeyError):
            raise KeyStoreCorrupt(f"the item {name} is no head of parts", hint="restore it from a backup") from None


def _parts(name: str, generation: str, count: int) -> list[str]:
    return [f"{name}/{generation}/{number}" for number in range(count)]
