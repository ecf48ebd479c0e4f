"""Whatever the answer to what nobody knows, the main job holds; and whatever fails, it fails in one clear way."""

import random
from pathlib import Path

import pytest
from sandbox_process import Sandbox

from rotator.sandbox.unknowns import QUESTIONS


OTHERS = [f"{key}={answer}" for key, (_, answers) in QUESTIONS.items() for answer in answers[1:]]
SAMPLE = 10
CLEAN = {0, 1, 3, 4, 5}


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


def test_faults_at_any_request_end_clearly_and_are_survived(folder: Path) -> None:
    """A sample of kinds and requests drawn anew each time; nobody is locked out, and the next run gets there."""
    seed = random.randrange(10**6)
    print("seed", seed)  # noqa: T201 - pytest shows it when the test fails
    draw = random.Random(seed)
    with Sandbox(folder, ("--nodes", "2")) as site:
        told(site)
        assert site.rotator("create-proxy", "--yes").status == 0
        for _ in range(SAMPLE):
            kind = draw.choice(
                [
                    "reset",
                    "lost",
                    "status=500",
                    "status=503",
                    "html",
                    "truncate",
                    "conflict",
                    "status=403",
                    "status=401",
                    "oversize=40",
                    "redirect=https://localhost/",
                ]
            )
            fault = f"{kind}@{draw.choice(['qrs', 'proxy', 'rim1.localhost'])}#{draw.randint(1, 12)}"
            site.control("DELETE", "/faults")
            site.fault(fault)
            ended = site.rotator("rotate", "--now")
            assert ended.status in CLEAN, (seed, fault, ended.err)
            assert "Traceback" not in ended.err
            assert "bug in rotator" not in ended.err, (seed, fault, ended.err)
            if ended.status:
                assert "rotator: hint:" in ended.err, (seed, fault, ended.err)
            site.control("DELETE", "/faults")
            site.control("DELETE", "/sessions")
            for _ in range(2):
                again = site.rotator("rotate", "--now")
                if again.status == 0:
                    break
            assert again.status == 0, (seed, fault, again.err)
            assert site.rotator("verify").status == 0, (seed, fault)
