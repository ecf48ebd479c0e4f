"""Which rights a caller lacks for what rotator is to do, from what the server tells of them, pure."""

from typing import Final

from rotator.model import Privileges


CREATE: Final = "create"
UPDATE: Final = "update"


def lacking(told: Privileges, proxy_id: str | None) -> tuple[str, ...] | None:
    """The rights that are missing, as a security rule of the QMC names them; None where the server does not tell.

    With `proxy_id`: to change that virtual proxy, as each rotation does. Without: to create one, set its first key and
    link it to proxies. What is not there yet cannot be asked about: what holds for those that are there is taken for it.
    """
    if proxy_id is not None:
        may = told.virtual_proxies.get(proxy_id)
        return None if may is None else () if UPDATE in may else (f"Update on VirtualProxyConfig_{proxy_id}",)
    known = [may for may in told.virtual_proxies.values() if may is not None]
    links = [may for may in told.proxies.values() if may is not None]
    if not known or len(links) < len(told.proxies):
        return None
    missing = [
        f"{action.capitalize()} on VirtualProxyConfig_*"
        for action in (CREATE, UPDATE)
        if not any(action in may for may in known)
    ]
    if not all(UPDATE in may for may in links):
        missing.append("Update on ProxyService_*")
    return tuple(missing)


def only_reads(told: Privileges) -> bool:
    """Whether the server tells that the caller may change no virtual proxy that it sees, and create none."""
    known = [may for may in told.virtual_proxies.values() if may is not None]
    return bool(known) and not any(may & {CREATE, UPDATE} for may in known)
