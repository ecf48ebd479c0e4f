"""One virtual proxy in one run, with everything its verbs work with."""

from collections.abc import Sequence
from dataclasses import dataclass

from rotator import verification
from rotator.model import Auth, Check, Outcome, ProxySpec, Result, Ring, Stage
from rotator.ports import World


@dataclass(frozen=True, slots=True)
class Scene:
    """One virtual proxy in a run: what is desired, how QRS is reached, and the world around it."""

    spec: ProxySpec
    auth: Auth
    world: World

    @property
    def tests(self) -> verification.TestLogins:
        """Test logins on the proxies of this virtual proxy."""
        return verification.TestLogins(self.spec, self.world.logins, self.world.clock)

    def result(self, ring: Ring, outcome: Outcome, reason: str, message: str, checks: Sequence[Check] = ()) -> Result:
        """What a verb came to, with the key that is current now."""
        return Result(
            site=self.spec.site,
            name=self.spec.name,
            outcome=outcome,
            reason=str(reason),
            message=message,
            proxy_id=ring.proxy_id,
            key=ring.at(Stage.CURRENT),
            checks=tuple(checks),
        )
