"""After a run: what is to be told of it goes into the outbox and out of it, what was seen is noted, metrics are written.

Nothing here changes what the run came to. What could not be told is an error of its own, and waits for the next run.
"""

import socket
import uuid
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime

from rotator.dispatch import LOCK_WAIT, Dispatch, Sent
from rotator.errors import ExitStatus, MetricsFailed, NoticeFailed, RotatorError
from rotator.model import Outcome, Result, Standing, Telling
from rotator.planning import notices as planning
from rotator.planning.notices import Writer
from rotator.planning.standing import of_known
from rotator.state import directory, figures, lock
from rotator.state.outbox import Outbox, warned


Known = Collection[tuple[str, str]]
"""The virtual proxies (site, name) of the configuration."""


class Afterwards:
    """What follows a run of `command`. `attended`: a person reads its errors at a terminal."""

    def __init__(
        self,
        telling: Telling,
        environ: Mapping[str, str],
        now: Callable[[], datetime],
        command: str,
        *,
        attended: bool,
    ) -> None:
        self._telling = telling
        self._environ = environ
        self._command = command
        self._attended = attended
        self._now = now
        self.dispatch = Dispatch(telling, environ, now, command)

    def ended(
        self, results: Sequence[Result], standings: Sequence[Standing], known: Known | None
    ) -> list[RotatorError]:
        """A run ended: tell what is to be told of it, of certificates that end, and what still waits.

        `known` is None where the configuration could not be read. Returns what could not be told.
        """
        if not self._telling.wanted:
            return []
        unusable = self._tried(lambda: self._note(standings))
        problems: list[RotatorError] = []
        if self._telling.notify.wanted:
            unusable = unusable or self._tried(lambda: self._queue(results, known))
            problems += _errors(self._directly(results)) if unusable else self._delivered()
        unwritten = self._metrics(unusable, known)
        if problems and not unwritten and not unusable:
            self._tried(lambda: self._speak(results))
        return [*problems, *unwritten]

    def looked(self, standings: Sequence[Standing], known: Known) -> list[RotatorError]:
        """A command looked at virtual proxies: the metrics are brought up to date, nobody is told."""
        if self._telling.textfile is None:
            return []
        return self._metrics(self._tried(lambda: self._note(standings)), known)

    def unit_failed(self, unit: str, site: str, name: str, known: Known | None) -> list[Sent]:
        """A systemd unit failed: tell it, unless its run has told it itself; and what waits. Raises RotatorError."""
        result = planning.unit_failed(unit, site, name, self._environ)
        return self._seen([result], known, unless=lambda box: bool(name) and self._spoke(box, name))

    def trouble(self, result: Result, known: Known | None) -> list[Sent]:
        """The daemon saw a trouble that nobody could tell of: tell it; and what waits. Raises RotatorError."""
        return self._seen([result], known)

    def over(self, proxies: Known, known: Known | None) -> list[Sent]:
        """The daemon can look again: tell the end of what it told of that; and what waits. Raises RotatorError."""
        return self._seen([_RUNS_AGAIN, *(planning.looks_again(site, name) for site, name in proxies)], known)

    def _seen(
        self, results: Sequence[Result], known: Known | None, *, unless: Callable[[Outbox], bool] = lambda _: False
    ) -> list[Sent]:
        def queue() -> None:
            with Outbox(self._telling.state) as box:
                said = unless(box)
            self._queue([] if said else results, known)

        unusable = self._tried(queue)
        if unusable is None:
            return self.dispatch.deliver()
        sent = self._directly(results)
        if not sent:
            raise unusable
        return sent

    def _spoke(self, box: Outbox, name: str) -> bool:
        return box.spoke(self._environ.get("MONITOR_INVOCATION_ID"), name, self._now())

    def test(self) -> list[Sent]:
        """A test notice through every channel at once."""
        return self.dispatch.at_once(planning.test(self._writer()))

    def _tried(self, attempt: Callable[[], None]) -> RotatorError | None:
        """Do something with the state directory, once it is known to be ours; the error where that failed.

        What another account's run would leave in it could keep the service out.
        """
        try:
            directory.prepare(self._telling.state)
            attempt()
        except RotatorError as error:
            return error
        return None

    def _note(self, standings: Sequence[Standing]) -> None:
        if standings:
            figures.note(self._telling.state, standings)

    def _queue(self, results: Sequence[Result], known: Known | None) -> None:
        with Outbox(self._telling.state) as box:
            for result in results:
                self._judge(box, result)
            if known is not None and any(result.exit_status == ExitStatus.DONE for result in results):
                self._judge(box, _RUNS_AGAIN)
            self._warn(box, known)

    def _speak(self, results: Sequence[Result]) -> None:
        """Whoever sees this run end with 5 for its notices alone need not tell that too: they wait."""
        invocation = self._environ.get("INVOCATION_ID")
        if invocation:
            with Outbox(self._telling.state) as box:
                box.speak(invocation, [result.name for result in results])

    def _judge(self, box: Outbox, result: Result) -> None:
        before = box.troubles(result.site, result.name)
        judged = planning.judge(result, before, self._writer(), attended=self._attended)
        failed = planning.is_failure(result, self._command, attended=self._attended)
        invocation = self._environ.get("INVOCATION_ID") if failed else None
        if judged.notice is not None or judged.troubles != before or invocation:
            box.put(result.site, result.name, judged.notice, judged.troubles, spoken=invocation)

    def _warn(self, box: Outbox, known: Known | None) -> None:
        for notice, warning in planning.expiring(self._standings(known), warned(self._telling.state), self._writer()):
            box.put_warning(notice, warning)

    def _standings(self, known: Known | None) -> Iterable[Standing]:
        return of_known(figures.standings(self._telling.state), known or ())

    def _delivered(self) -> list[RotatorError]:
        try:
            return _errors(self.dispatch.deliver())
        except RotatorError as error:
            return [NoticeFailed(f"notices cannot be delivered: {error.message}", hint=error.hint)]

    def _directly(self, results: Sequence[Result]) -> list[Sent]:
        """Without an outbox failures are told at once, with no memory of what was told before."""
        judged = [planning.judge(result, (), self._writer(), attended=self._attended) for result in results]
        return [sent for each in judged if each.notice is not None for sent in self.dispatch.at_once(each.notice)]

    def _metrics(self, unusable: RotatorError | None, known: Known | None) -> list[RotatorError]:
        path = self._telling.textfile
        if path is None:
            return []
        from rotator import metrics  # noqa: PLC0415 - 60 ms, for those who have metrics

        try:
            if unusable is not None:
                raise unusable
            with lock.held(self._telling.state, "metrics", self._command, self._now(), wait=LOCK_WAIT):
                metrics.write(path, figures.read(self._telling.state), known)
        except MetricsFailed as error:
            return [error]
        except RotatorError as error:
            return [MetricsFailed(f"the metrics cannot be written: {error.message}", hint=error.hint)]
        return []

    def _writer(self) -> Writer:
        return Writer(socket.gethostname(), self._command, self._now(), lambda: uuid.uuid4().hex)


def _errors(sent: Iterable[Sent]) -> list[RotatorError]:
    return [each.error for each in sent if each.error is not None]


_RUNS_AGAIN = Result("", "", Outcome.RECOVERED, "RunsAgain", "rotator runs again")
"""What ends a trouble of no virtual proxy, as a configuration that could not be read."""
