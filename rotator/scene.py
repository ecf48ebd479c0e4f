"""One virtual proxy in one run, with everything its verbs work with."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

from rotator import verification
from rotator.errors import Refused
from rotator.model import Auth, Check, Json, KeyVersion, Outcome, ProxySpec, Result, Ring, Stage, VirtualProxy
from rotator.ports import World


@dataclass(frozen=True, slots=True)
class Scene:
    """One virtual proxy in a run: what is desired, how QRS is reached, and the world around it.

    `way` is the prefix of the virtual proxy through which QRS is reached, None on QRS's own port.
    """

    spec: ProxySpec
    auth: Auth
    world: World
    way: str | None = None

    def check_way(self) -> None:
        """Raise Refused for the virtual proxy that QRS is reached through: a change that fails would saw that branch off."""
        if self.way == self.spec.prefix:
            raise Refused(
                f'{self.spec.name}: under auth = "jwt" QRS is reached through this very virtual proxy, so it is not changed',
                hint=f'change it with a configuration whose auth is "certificate": [site.{self.spec.site}]',
            )

    @property
    def tests(self) -> verification.TestLogins:
        """Test logins on the proxies of this virtual proxy."""
        return verification.TestLogins(self.spec, self.world.logins, self.world.clock)

    def result(
        self,
        ring: Ring,
        outcome: Outcome,
        reason: str,
        message: str,
        checks: Sequence[Check] = (),
        *,
        virtual_proxy: VirtualProxy | None = None,
        key: KeyVersion | None = None,
        extra: Mapping[str, Json] = MappingProxyType({}),
    ) -> Result:
        """What a verb came to: `virtual_proxy` as it was seen, else its id is from the ring; `key`, else the current one."""
        return Result(
            site=self.spec.site,
            name=self.spec.name,
            outcome=outcome,
            reason=str(reason),
            message=message,
            proxy_id=virtual_proxy.id if virtual_proxy else ring.proxy_id,
            key=key or ring.at(Stage.CURRENT),
            checks=tuple(checks),
            extra=extra,
        )
