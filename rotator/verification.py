"""Test logins: the proof that a key is accepted, or refused, on every linked proxy."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from rotator.errors import VerificationFailed
from rotator.keys import PrivateKey, timed_claims, user_claims
from rotator.model import (
    UNTOLD_CLOCK,
    Check,
    CheckResult,
    Json,
    LoginOutcome,
    ProxyService,
    ProxySpec,
    Verdict,
    VirtualProxy,
)
from rotator.ports import Clock, Logins


TOKEN_TTL: Final = timedelta(minutes=5)
"""How long a test token lives: long enough for a cold proxy and for clocks that differ."""
EXPIRED_BY: Final = timedelta(hours=1)
"""How long the expired test token has been expired: more than any clock difference a server might forgive."""
FIRST_WAIT: Final = 0.1
LONGEST_WAIT: Final = 2.0
STRANGER_BITS: Final = 2048

CURRENT, PENDING, PREVIOUS, STRANGER, EXPIRED, NO_TOKEN = (
    "current",
    "pending",
    "previous",
    "stranger",
    "expired",
    "no-token",
)
"""Names of checks: which token was shown to the proxy."""

_ACCEPTED = {
    Verdict.ACCEPTED: CheckResult.PASSED,
    Verdict.REFUSED: CheckResult.FAILED,
    Verdict.INCONCLUSIVE: CheckResult.INCONCLUSIVE,
    Verdict.UNREACHABLE: CheckResult.UNVERIFIED,
}
_REFUSED = {**_ACCEPTED, Verdict.ACCEPTED: CheckResult.FAILED, Verdict.REFUSED: CheckResult.PASSED}

SKIPPED_DETAIL: Final = "skipped by the configuration: cannot be reached from here"


@dataclass(frozen=True)
class TestLogins:
    """Test logins on the proxies of one virtual proxy, one at a time, since they share one test user."""

    __test__ = False  # for pytest: the name is the field's word

    spec: ProxySpec
    logins: Logins
    clock: Clock

    def accepted(
        self,
        name: str,
        key: PrivateKey,
        virtual_proxy: VirtualProxy,
        proxies: Sequence[ProxyService],
        patience: timedelta = timedelta(0),
    ) -> tuple[Check, ...]:
        """Log in with `key` on each proxy until it is accepted, for at most `patience` each.

        A proxy that the configuration skips is unverified. Results are in the order of `proxies`.
        """
        return self._checks(name, _ACCEPTED, lambda proxy: self._login(key, virtual_proxy, proxy), proxies, patience)

    def proven(
        self,
        key: PrivateKey,
        virtual_proxy: VirtualProxy,
        proxies: Sequence[ProxyService],
        *,
        patience: timedelta = timedelta(0),
        said: str = "the current key does not log in everywhere",
        hint: str | None = None,
    ) -> tuple[Check, ...]:
        """The proof that `key`, the one that the server shows, logs in on each proxy: the checks, which all passed.

        Raises VerificationFailed otherwise, which carries the checks: `said` is its sentence, before what went wrong on
        which proxy.
        """
        checks = self.accepted(CURRENT, key, virtual_proxy, proxies, patience)
        if all_passed(checks):
            return checks
        raise VerificationFailed(
            f"{self.spec.name}: {said}: {worst_of(checks)}",
            hint=hint
            or "see that the proxies named are up, that clocks agree (rotator doctor), and that claims and audience are "
            f"as configured (rotator create-proxy {self.spec.name} --plan)",
        ).with_checks(checks)

    def refused(
        self,
        name: str,
        key: PrivateKey,
        virtual_proxy: VirtualProxy,
        proxies: Sequence[ProxyService],
        patience: timedelta = timedelta(0),
    ) -> tuple[Check, ...]:
        """Log in with `key` on each proxy until it is refused, for at most `patience` each.

        Ask only for proxies that are known to be up, as by an accepted login: a 401 says little otherwise.
        """
        return self._checks(name, _REFUSED, lambda proxy: self._login(key, virtual_proxy, proxy), proxies, patience)

    def verify(
        self,
        current: PrivateKey,
        previous: PrivateKey | None,
        virtual_proxy: VirtualProxy,
        proxies: Sequence[ProxyService],
    ) -> tuple[Check, ...]:
        """Everything that must hold: current is accepted; previous, a stranger, an expired token and none are not."""
        accepted = self.accepted(CURRENT, current, virtual_proxy, proxies)
        up = [proxy for proxy, check in zip(proxies, accepted, strict=True) if check.result is CheckResult.PASSED]
        checks = list(accepted)
        if previous is not None:
            checks += self.refused(PREVIOUS, previous, virtual_proxy, up)
        checks += self.refused(STRANGER, PrivateKey.generate(STRANGER_BITS), virtual_proxy, up)
        checks += self._checks(
            EXPIRED, _REFUSED, lambda proxy: self._login(current, virtual_proxy, proxy, ago=EXPIRED_BY), up
        )
        checks += self._checks(NO_TOKEN, _REFUSED, lambda proxy: self._attempt(None, virtual_proxy, proxy), up)
        return tuple(checks)

    def _checks(
        self,
        name: str,
        results: dict[Verdict, CheckResult],
        attempt: Callable[[ProxyService], LoginOutcome],
        proxies: Sequence[ProxyService],
        patience: timedelta = timedelta(0),
    ) -> tuple[Check, ...]:
        """Attempt each proxy in turn until it passes. They wait side by side; each gets a last attempt at the end."""
        done: dict[str, Check] = {}
        waiting: list[ProxyService] = []
        for proxy in proxies:
            if self.logins.reachable(proxy):
                waiting.append(proxy)
            else:
                done[proxy.id] = Check(proxy.host, name, CheckResult.UNVERIFIED, SKIPPED_DETAIL, skipped=True)
        deadline = self.clock.monotonic() + patience.total_seconds()
        pause = FIRST_WAIT
        while waiting:
            last = self.clock.monotonic() >= deadline
            for proxy in tuple(waiting):
                outcome = attempt(proxy)
                check = Check(proxy.host, name, results[outcome.verdict], _detail(outcome))
                done[proxy.id] = check
                if check.result is CheckResult.PASSED:
                    waiting.remove(proxy)
            if last:
                break
            if waiting:
                self.clock.sleep(min(pause, max(deadline - self.clock.monotonic(), 0.0)))
                pause = min(pause * 2, LONGEST_WAIT)
        return tuple(done[proxy.id] for proxy in proxies)

    def _login(
        self, key: PrivateKey, virtual_proxy: VirtualProxy, proxy: ProxyService, ago: timedelta = timedelta(0)
    ) -> LoginOutcome:
        """One test login with a token made for it; `ago` makes it a token that expired that long ago.

        A token's times are those of the proxy's clock, which its first answer tells: what was refused before that was
        known says nothing of the key, and is attempted once more.
        """
        known = self.logins.clock_offset(proxy) or 0.0
        outcome = self._attempt(self._token(key, virtual_proxy, known, ago), virtual_proxy, proxy)
        told = self.logins.clock_offset(proxy) or 0.0
        if outcome.verdict is Verdict.REFUSED and abs(told - known) > UNTOLD_CLOCK:
            return self._attempt(self._token(key, virtual_proxy, told, ago), virtual_proxy, proxy)
        return outcome

    def _token(self, key: PrivateKey, virtual_proxy: VirtualProxy, offset: float, ago: timedelta) -> str:
        issued = self.clock.now() + timedelta(seconds=offset) - (ago + TOKEN_TTL if ago else ago)
        claims: dict[str, Json] = {
            **self.spec.test_claims,
            **user_claims(self.spec, self.spec.test_user),
            **timed_claims(issued, TOKEN_TTL, audience=virtual_proxy.audience),
        }
        return key.token(claims, self.spec.rotation.algorithm)

    def _attempt(self, token: str | None, virtual_proxy: VirtualProxy, proxy: ProxyService) -> LoginOutcome:
        return self.logins.attempt(proxy, virtual_proxy, token, self.spec.test_user)


def _detail(outcome: LoginOutcome) -> str:
    if not outcome.left_session:
        return outcome.detail
    return f"{outcome.detail}; its session could not be logged out and lasts until it times out"


def all_passed(checks: Sequence[Check]) -> bool:
    """Whether the checks prove something: skipped proxies do not count, of the others there is one and all pass."""
    counted = [check for check in checks if not check.skipped]
    return bool(counted) and all(check.result is CheckResult.PASSED for check in counted)


def decided(checks: Sequence[Check]) -> bool:
    """Whether each proxy that was asked, at least one, has let somebody in or refused to: none was down, or made no sense."""
    counted = [check for check in checks if not check.skipped]
    return bool(counted) and all(check.result in (CheckResult.PASSED, CheckResult.FAILED) for check in counted)


def refused_everywhere(checks: Sequence[Check]) -> bool:
    """Whether each proxy that was asked, at least one, has refused the key."""
    counted = [check for check in checks if not check.skipped]
    return bool(counted) and all(check.result is CheckResult.FAILED for check in counted)


def worst_of(checks: Sequence[Check]) -> str:
    """The checks that did not pass, in one line for an error message."""
    return "; ".join(
        f"{check.host}: {check.name} {check.result}" + (f" ({check.detail})" if check.detail else "")
        for check in checks
        if check.result is not CheckResult.PASSED
    )
