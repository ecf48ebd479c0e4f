"""A server that answers anything: what comes out is an error of rotator or a verdict, short, without a secret.

Its cases are generated (`hostile.py`), drawn anew each time.
"""

import json
import os
import subprocess
import sys
from pathlib import Path
from threading import Event

import hostile
import hostile_client
import pytest
from sampling import drawn, record, soaking, times
from scripted import Scripted


CASES = 1000
SEARCHED = (str(Path(__file__).parent.parent), os.environ.get("PYTHONPATH"))
HERE = {**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, SEARCHED))}
BLOCKS = 4
LONGEST = 1000
"""Characters that a message may have."""
PEAK = 400
"""MB that the client may ever take: the largest answer is read, decoded and parsed."""


@pytest.mark.parametrize("block", range(BLOCKS))
def test_whatever_a_server_answers_comes_out_as_an_error_or_a_verdict(
    pytestconfig: pytest.Config, tmp_path: Path, block: int
) -> None:
    seed = drawn(pytestconfig, "hostile").getrandbits(64)
    cases = CASES * (5 if soaking(pytestconfig) else times(pytestconfig)) // BLOCKS
    operations = sorted(hostile_client.OPERATIONS) + [*hostile_client.DECIDING] * 3
    answers = hostile.Answers(f"{seed}:{block}", operations, hostile_client.DECIDING)
    case = answers.case(0)
    errors = verdicts = 0
    with Scripted(lambda handler: case.answer(handler), tmp_path) as server:  # noqa: PLW0108 - another case each time
        server._server.idle = Event()  # type: ignore[attr-defined]
        command = (sys.executable, hostile_client.__file__, str(server.port), str(server.root), str(tmp_path))
        with subprocess.Popen(
            command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=HERE
        ) as client:
            assert client.stdin is not None
            assert client.stdout is not None
            for number in range(cases):
                case = answers.case(number)
                told = asked(client, case.operation)
                where = f"case {number} of {seed}:{block}, {case.operation}: {told}"
                assert "bug" not in told, where
                check(told, where)
                errors += "error" in told
                verdicts += "result" in told
            client.stdin.close()
            assert client.wait(20) == 0
            assert client.stderr is not None
            assert client.stderr.read() == ""
    assert min(errors, verdicts) > cases // 10  # both are met with
    record("hostile server", f"block-{block}", cases=cases, errors=errors, verdicts=verdicts)


def asked(client: "subprocess.Popen[str]", operation: str) -> dict[str, object]:
    """What the client says came out of an operation."""
    assert client.stdin is not None
    assert client.stdout is not None
    client.stdin.write(operation + "\n")
    client.stdin.flush()
    line = client.stdout.readline()
    assert line, client.communicate()[1]
    told: dict[str, object] = json.loads(line)
    return told


def check(told: dict[str, object], where: str) -> None:
    texts = [text for text in told.get("error", []) if text]  # type: ignore[attr-defined]
    for text in texts:
        assert text.isprintable(), where
        assert not any(secret in text for secret in hostile_client.SECRETS.values()), where
        assert len(text) <= LONGEST, where
        assert "<" not in text, where
    if "result" in told:
        assert told["secrets"] == [], where
        assert not told["unprintable"], where
        assert int(str(told["longest"])) <= LONGEST, where
    if texts:
        assert told["error"][2], where  # type: ignore[index]  # what to do now
    assert int(str(told["peak"])) < PEAK, where
