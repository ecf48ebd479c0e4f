"""Who may see and do what: root everything, others what simple security rules grant them."""

import re
from dataclasses import dataclass
from typing import Any, Final

from rotator.sandbox.repository import Entity, Repository


CREATE: Final = 1
READ: Final = 2
UPDATE: Final = 4
DELETE: Final = 8
HUB_ONLY: Final = 1
_WORDS: Final = {"create": CREATE, "read": READ, "update": UPDATE, "delete": DELETE}
_CONDITION: Final = re.compile(r'user\.(userDirectory|userId|name|roles)\s*=\s*"([^"]*)"')


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asks QRS, by whichever door."""

    directory: str
    id: str

    def __str__(self) -> str:
        return f"{self.directory}\\{self.id}"


class Rights:
    """The rules of one site. Evaluated are conditions joined by `and` on the user's directory, id, name and roles."""

    def __init__(self, repository: Repository) -> None:
        self._repository = repository

    def root(self, caller: Caller) -> bool:
        """Service accounts, and users with the role RootAdmin."""
        if caller.directory.upper() == "INTERNAL" and caller.id.lower().startswith("sa_"):
            return True
        return "RootAdmin" in self._repository.user(caller.directory, caller.id)["roles"]

    def may(self, caller: Caller, action: int, kind: str, entity_id: str = "*") -> bool:
        """Whether a rule lets the caller do `action` on an entity of `kind`, e.g. `VirtualProxyConfig`."""
        if self.root(caller):
            return True
        user = self._repository.user(caller.directory, caller.id)
        wanted = {f"{kind}_{entity_id}", f"{kind}_*"}
        return any(
            rule["actions"] & action
            and not rule["disabled"]
            and rule["ruleContext"] != HUB_ONLY
            and wanted & {item.strip() for item in str(rule["resourceFilter"]).split(",")}
            and _holds(str(rule["rule"]), user)
            for rule in self._repository.others["systemrule"].values()
        )

    def privileges(self, caller: Caller, kind: str, entity_id: str) -> list[str]:
        """What the caller may do with an entity, in the words that QRS fills `privileges` with."""
        return [word for word, action in _WORDS.items() if self.may(caller, action, kind, entity_id)]

    def visible(self, caller: Caller, kind: str, entities: "list[Entity]") -> "list[Entity]":
        """The entities of a list that the caller may read."""
        return [entity for entity in entities if self.may(caller, READ, kind, str(entity["id"]))]

    def stripped(self, caller: Caller, shown: Entity) -> Entity:
        """An answer without the objects in its lists that the caller may not read."""
        if self.root(caller):
            return shown
        kinds = {
            "loadBalancingServerNodes": "ServerNodeConfiguration",
            "tags": "Tag",
            "virtualProxies": "VirtualProxyConfig",
        }
        result: dict[str, Any] = {}
        for field, value in shown.items():
            if field in kinds:
                result[field] = self.visible(caller, kinds[field], value)
            elif field == "customProperties":
                result[field] = [
                    item
                    for item in value
                    if self.may(caller, READ, "CustomPropertyDefinition", str(item.get("definition", {}).get("id")))
                ]
            elif field == "settings":
                result[field] = self.stripped(caller, value)
            else:
                result[field] = value
        return result


def _holds(rule: str, user: Entity) -> bool:
    conditions = _CONDITION.findall(rule)
    plain = re.sub(r"[\s()]", "", _CONDITION.sub("", rule)).replace("and", "").replace("&&", "")
    if not conditions or plain:
        return False
    return all(
        value in user["roles"] if name == "roles" else str(user[name]).casefold() == value.casefold()
        for name, value in conditions
    )
