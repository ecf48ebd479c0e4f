"""rotator daemon."""

import os
import signal

import typer

from rotator.cli.session import Session


def daemon(context: typer.Context) -> None:
    """Run the schedule in one long-lived process, until SIGTERM; SIGHUP reads the configuration again.

    Whatever is due is rotated inside its window, by a process of its own for each virtual proxy, one per site at a
    time. Works under systemd (Type=notify, with a watchdog) and without.
    """
    import time
    from datetime import UTC, datetime
    from queue import SimpleQueue

    from rotator.config import contents, find, load_text
    from rotator.daemon.children import Process, Processes
    from rotator.daemon.events import Alarm, Ended, Event, Reload, SchedulerFailed, Shutdown
    from rotator.daemon.lines import Lines
    from rotator.daemon.loop import Daemon, Loaded
    from rotator.daemon.schedule import Schedule
    from rotator.daemon.service_manager import ServiceManager

    session: Session = context.obj
    source = find(session.config_path, os.environ).absolute()
    inbox: SimpleQueue[Event] = SimpleQueue()

    def loaded() -> Loaded:
        text = contents(source)
        return Loaded(load_text(text, source, os.environ), text)

    def ended(process: Process, status: int, out: bytes, err: bytes) -> None:
        inbox.put(Ended(process, status, out, err))

    first = loaded()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda number, _: inbox.put(Shutdown(signal.Signals(number).name)))
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, lambda _, __: inbox.put(Reload()))
    Daemon(
        loaded=first,
        load=loaded,
        schedule=Schedule(lambda name: inbox.put(Alarm(name)), lambda message: inbox.put(SchedulerFailed(message))),
        starter=Processes(source, ended),
        now=lambda: datetime.now(UTC),
        monotonic=time.monotonic,
        manager=ServiceManager(os.environ),
        lines=Lines(os.environ),
    ).run(inbox)
