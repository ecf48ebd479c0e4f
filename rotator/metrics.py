"""The metrics: a text file for node_exporter, written whole after every run.

No times of writing are in it: how old the file is, node_exporter tells itself (`node_textfile_mtime_seconds`).
"""

import os
import re
import secrets
import sys
from collections.abc import Collection, Iterator
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Final

from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from rotator.errors import ExitStatus, MetricsFailed
from rotator.model import Figures, Outcome
from rotator.planning.standing import of_known
from rotator.version import __version__


MODE: Final = 0o644
"""node_exporter runs as another account, and nothing in the file is secret."""
_RANDOM: Final = 8
_STAGED: Final = re.compile(rf"\.new[0-9a-f]{{{2 * _RANDOM}}}")
"""What comes after the file's name in that of a file which is not whole yet."""
_OF: Final = ("site", "name")


class _Figures(Collector):
    """Figures as metric families."""

    def __init__(self, figures: Figures) -> None:
        self._figures = figures

    def collect(self) -> Iterator[Metric]:
        """Every family, also those without a sample, so that a rule never meets a name that is not there."""
        build = GaugeMetricFamily("rotator_build_info", "The rotator that wrote this file.", labels=("version",))
        build.add_metric((__version__,), 1)
        yield build
        yield from self._standings()
        yield from self._tallies()
        waiting = "Notices that not every channel has taken yet."
        yield GaugeMetricFamily("rotator_notices_undelivered", waiting, value=self._figures.undelivered)
        lost = "Notices that were given up after days of trying."
        yield CounterMetricFamily("rotator_notices_given_up_total", lost, value=self._figures.given_up)

    def _standings(self) -> Iterator[Metric]:
        certificate = _gauge(
            "rotator_certificate_not_after_timestamp_seconds", "When the JWT certificate of the current key ends."
        )
        created = _gauge("rotator_current_key_created_timestamp_seconds", "When the current key was made.")
        next_due = _gauge(
            "rotator_next_due_timestamp_seconds",
            "When the next unattended rotation begins, windows and retries considered; the past: it is overdue.",
        )
        retries = _gauge("rotator_retry_attempts", "How many rotations failed in a row; 0 after one that succeeded.")
        client = GaugeMetricFamily(
            "rotator_client_certificate_not_after_timestamp_seconds",
            "When the client certificate for the site's QRS ends.",
            labels=("site",),
        )
        for standing in self._figures.standings:
            of = (standing.site, standing.name)
            if not standing.name:
                _sample(client, (standing.site,), standing.certificate_ends)
                continue
            _sample(certificate, of, standing.certificate_ends)
            _sample(created, of, standing.key_created)
            _sample(next_due, of, standing.next_due)
            retries.add_metric(of, standing.retries)
        yield from (certificate, client, created, next_due, retries)

    def _tallies(self) -> Iterator[Metric]:
        last = _gauge(
            "rotator_last_run_timestamp_seconds", "When the last run ended that could have changed something."
        )
        status = _gauge("rotator_last_run_exit_status", "The exit status of that run; 0 is success.")
        success = _gauge("rotator_last_success_timestamp_seconds", "When the last run ended that succeeded.")
        rotations = CounterMetricFamily(
            "rotator_rotations_total", "Runs of rotator rotate.", labels=(*_OF, "result", "reason")
        )
        cut = CounterMetricFamily(
            "rotator_sessions_cut_total", "Sessions that changes ended, as far as their number was known.", labels=_OF
        )
        for tally in self._figures.tallies:
            of = (tally.site, tally.name)
            _sample(last, of, tally.last_run)
            if tally.last_exit is not None:
                status.add_metric(of, tally.last_exit)
            _sample(success, of, tally.last_success)
            counts: dict[tuple[str, str], int] = {}
            for outcome, exit_status, reason, count in tally.rotations:
                key = (result(outcome, exit_status), reason)
                counts[key] = counts.get(key, 0) + count
            for (came, reason), count in counts.items():
                rotations.add_metric((*of, came, reason), count)
            cut.add_metric(of, tally.sessions_cut)
        yield from (last, status, success, rotations, cut)


def result(outcome: str, exit_status: int | None) -> str:
    """What a rotation came to, in the words of the label `result`.

    rotated, delivered or unchanged · later (a lock, a window) · undelivered · failed · person-needed · interrupted.
    """
    match exit_status:
        case None:
            return "interrupted"
        case ExitStatus.DONE:
            return outcome
        case ExitStatus.TRY_LATER:
            return "later"
        case ExitStatus.NOT_DELIVERED:
            return "undelivered"
        case ExitStatus.PERSON_NEEDED:
            return "person-needed"
        case _:
            return Outcome.FAILED.value


def write(path: Path, figures: Figures, known: Collection[tuple[str, str]] | None) -> None:
    """Write the file, whole or not at all, readable for all. One process at a time. Raises MetricsFailed.

    `known` are the virtual proxies (site, name) of the configuration, None: not known, so that all are written.
    """
    if known is not None:
        tallies = tuple(tally for tally in figures.tallies if (tally.site, tally.name) in known)
        figures = replace(figures, standings=of_known(figures.standings, known), tallies=tallies)
    registry = CollectorRegistry(auto_describe=False)
    registry.register(_Figures(figures))
    # The folder may be another account's, which then chooses where it leads to: a name that nobody can foresee, and no
    # link of that name is followed.
    staged = path.with_name(f"{path.name}.new{secrets.token_hex(_RANDOM)}")
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_BINARY", 0)
    try:
        with os.fdopen(os.open(staged, flags, MODE), "wb") as file:
            file.write(generate_latest(registry))
            if sys.platform != "win32":
                # Whatever the umask of a service says, before anybody is shown it.
                os.fchmod(file.fileno(), MODE)
        staged.replace(path)
    except OSError as error:
        raise MetricsFailed(
            f"the metrics {path} cannot be written: {error.strerror}",
            hint="the account that runs rotator must be able to write to that folder, its systemd unit too "
            "(ReadWritePaths=); see textfile in [metrics]",
        ) from None
    finally:
        _clean(path)


def _clean(path: Path) -> None:
    """Remove what this run or one that was killed has staged."""
    with suppress(OSError):
        for left in path.parent.iterdir():
            if left.name.startswith(path.name) and _STAGED.fullmatch(left.name[len(path.name) :]):
                with suppress(OSError):
                    left.unlink()


def _gauge(name: str, said: str) -> GaugeMetricFamily:
    return GaugeMetricFamily(name, said, labels=_OF)


def _sample(family: GaugeMetricFamily, of: tuple[str, ...], moment: datetime | None) -> None:
    if moment is not None:
        family.add_metric(of, moment.timestamp())
