"""Alarms at points of time, by APScheduler: its only importer.

Every job is one point of time, in UTC: intervals and cron expressions of APScheduler had faults over daylight saving,
and an interval that finds the clock years ahead (a machine without a battery) makes a list of every time it missed. The
repetition is made by the main loop, which sets the next alarm when it has handled the last one.
"""

from collections.abc import Callable
from datetime import UTC, datetime

from apscheduler.events import (  # type: ignore[import-untyped]
    EVENT_JOB_ERROR,
    EVENT_JOB_MAX_INSTANCES,
    EVENT_JOB_MISSED,
    JobEvent,
)
from apscheduler.executors.debug import DebugExecutor  # type: ignore[import-untyped]
from apscheduler.jobstores.base import JobLookupError  # type: ignore[import-untyped]
from apscheduler.schedulers.background import BackgroundScheduler  # type: ignore[import-untyped]
from apscheduler.schedulers.base import BaseScheduler  # type: ignore[import-untyped]
from apscheduler.triggers.date import DateTrigger  # type: ignore[import-untyped]


class Schedule:
    """Alarms by name, in memory. `ring` is called in the scheduler's thread when one is due, however late that is.

    An alarm that was missed, in sleep or while the clock jumped, rings once. `trouble` is told what APScheduler could
    not do.
    """

    def __init__(
        self,
        ring: Callable[[str], None],
        trouble: Callable[[str], None],
        scheduler: type[BaseScheduler] = BackgroundScheduler,
    ) -> None:
        self._ring = ring
        self._trouble = trouble
        self._scheduler = scheduler(
            timezone=UTC,
            # The alarms only put something in a queue: no pool of threads is needed for that.
            executors={"default": DebugExecutor()},
            job_defaults={"coalesce": True, "max_instances": 1, "misfire_grace_time": None},
        )
        self._scheduler.add_listener(self._failed, EVENT_JOB_ERROR | EVENT_JOB_MISSED | EVENT_JOB_MAX_INSTANCES)

    def start(self) -> None:
        """Begin to ring."""
        self._scheduler.start()

    def set(self, name: str, at: datetime) -> None:
        """Let the alarm `name` ring at `at`, at once where that is past; its earlier time is forgotten."""
        self._scheduler.add_job(
            self._ring, DateTrigger(at, timezone=UTC), args=(name,), id=name, name=name, replace_existing=True
        )

    def clear(self, name: str) -> None:
        """Forget the alarm `name`, if there is one."""
        try:
            self._scheduler.remove_job(name)
        except JobLookupError:
            return

    def times(self) -> dict[str, datetime]:
        """When each alarm rings."""
        return {job.id: job.next_run_time for job in self._scheduler.get_jobs()}

    def stop(self) -> None:
        """Ring no more."""
        self._scheduler.shutdown(wait=False)

    def _failed(self, event: JobEvent) -> None:
        error = getattr(event, "exception", None)
        why = f"{type(error).__name__}: {error}" if error is not None else f"APScheduler's event {event.code}"
        self._trouble(f"the alarm {event.job_id} did not ring: {why}")
