"""rotator on a pseudo-terminal, as a person has it in front of them."""

import os
import pty
import select
import signal


def typed(command: tuple[str, ...], answers: dict[str, str]) -> tuple[int, str]:
    """Run on a terminal of its own, answering each question once; returns the status and all that was said."""
    return conversation(command, list(answers.items()), ordered=False)


def conversation(command: tuple[str, ...], answers: list[tuple[str, str]], *, ordered: bool = True) -> tuple[int, str]:
    """The same with questions that may come again: with `ordered` each is waited for after the answer before it."""
    pid, terminal = pty.fork()
    if pid == 0:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # which whoever runs the tests in the background has ignored
        os.execvp(command[0], command)  # noqa: S606 - a list, no shell
    said, heard = "", 0
    waiting = list(answers)
    while True:
        ready, _, _ = select.select([terminal], [], [], 60)
        assert ready, said
        try:
            data = os.read(terminal, 4096)
        except OSError:
            break
        if not data:
            break
        said += data.decode()
        for pair in list(waiting[:1] if ordered else waiting):
            if pair[0] in said[heard:]:
                waiting.remove(pair)
                heard = len(said) if ordered else 0
                os.write(terminal, (pair[1] + "\n").encode())
    _, status = os.waitpid(pid, 0)
    os.close(terminal)
    assert not (ordered and waiting), (waiting, said)
    return os.waitstatus_to_exitcode(status), said
