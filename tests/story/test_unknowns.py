"""Whatever the answer to what nobody knows, the main job holds."""

from pathlib import Path

import pytest
from sandbox_process import Sandbox

from rotator.sandbox.unknowns import QUESTIONS


OTHERS = [f"{key}={answer}" for key, (_, answers) in QUESTIONS.items() for answer in answers[1:]]


def told(sandbox: Sandbox) -> None:
    sandbox.configure(('every = "30d"', 'every = "30d"\nkey_bits = 2048\nsettle_timeout = "10s"'))


@pytest.mark.parametrize("answer", OTHERS)
def test_the_main_job_under_every_answer(folder: Path, answer: str) -> None:
    with Sandbox(folder, ("--nodes", "2", "--unknown", answer)) as site:
        told(site)
        for command in (
            ("create-proxy", "--yes"),
            ("create-proxy", "--yes"),
            ("rotate", "--now"),
            ("verify",),
            ("doctor",),
        ):
            ended = site.rotator(*command)
            assert ended.status == 0, (command, ended.err)
        assert site.control("GET", "/sessions") == []
