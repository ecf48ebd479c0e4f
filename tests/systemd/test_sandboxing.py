"""What the units may do, asked of systemd, and seen from inside."""

import re
import subprocess
from pathlib import Path

import pytest
from systemd_server import ROOT, Server


UNITS = ROOT / "systemd"
SERVICES = sorted(path.name for path in UNITS.glob("*.service"))
WORST = 1.5
INSIDE = """
import os, resource

status = dict(line.split(":", 1) for line in open("/proc/self/status"))
print("caps", *(status[name].strip() for name in ("CapBnd", "CapEff", "NoNewPrivs", "Seccomp")))
print("core", resource.getrlimit(resource.RLIMIT_CORE))
places = ("/", "/etc", "/etc/rotator", "/opt/rotator", "/usr", "/var", "/var/lib", "/var/lib/rotator", "/run")
print("writable", *(place for place in places if os.access(place, os.W_OK)))
print("seen", *(place for place in ("/home", "/root", "/dev/kmsg", "/proc/1", "/proc/meminfo") if os.access(place, os.R_OK)))
print("umask", oct(os.umask(0)))
print("root", os.getuid() == 0, os.getgroups() != [os.getgid()])
"""
DROP_IN = "[Service]\nExecCondition=\nExecStart=\nExecStart=/usr/bin/python3 /etc/rotator/inside.py\n"


@pytest.mark.parametrize("name", SERVICES)
def test_the_exposure_of_a_service_is_small(name: str, tmp_path: Path) -> None:
    # A template is looked at as one of its instances.
    unit = tmp_path / name.replace("@", "@portal")
    unit.write_text((UNITS / name).read_text())
    ended = subprocess.run(
        ("systemd-analyze", "security", "--offline=true", "--no-pager", str(unit)), capture_output=True, text=True
    )
    (figure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", ended.stdout)
    assert float(figure) <= WORST, ended.stdout


def test_the_services_of_rotator_are_confined_alike() -> None:
    def confined(name: str) -> str:
        text = (UNITS / name).read_text()
        return text[text.index("User=rotator") :].partition("\n[Install]")[0].strip()

    assert len({confined(name) for name in SERVICES if name != "rotator-keyring.service"}) == 1


def test_systemd_takes_every_line_and_finds_the_services_little_exposed(ready: Server) -> None:
    ready.box.run("cd /etc/systemd/system; /opt/rotator/bin/rotator install-units --keyring secret-service")
    units = "rotator.service rotator-keyring.service rotator-rotate@portal.service rotator-failed@x.service"
    verified = ready.box.run(f"systemctl daemon-reload; systemd-analyze verify {units} rotator-rotate@portal.timer")
    assert [line for line in verified.text.splitlines() if "rotator" in line] == []
    for unit in units.split():
        said = ready.box.run(f"systemd-analyze security --no-pager {unit}").out
        (figure,) = re.findall(r"Overall exposure level for \S+: ([0-9.]+)", said)
        assert float(figure) <= WORST, said


def test_what_a_run_can_see_and_do(ready: Server) -> None:
    unit = "rotator-rotate@portal.service"
    ready.box.write("/etc/rotator/inside.py", INSIDE)
    ready.box.write(f"/etc/systemd/system/{unit}.d/zz-inside.conf", DROP_IN)
    ready.box.run(f"systemctl daemon-reload; systemctl start {unit}")
    said = ready.box.journal(unit).splitlines()
    for line in (
        "caps 0000000000000000 0000000000000000 1 2",
        "core (0, 0)",
        "writable /var/lib/rotator",
        "seen",
        "umask 0o77",
        "root False False",
    ):
        assert line in said, said


NOT_FOR_PERSONS = {"ProtectHome", "PrivateTmp", "PrivateUsers", "ProtectSystem"}


def test_what_a_person_runs_is_confined_as_the_units_but_for_what_would_be_in_their_way(ready: Server) -> None:
    box, unit = ready.box, (UNITS / "rotator-rotate@.service").read_text()
    protections = unit[unit.index("UMask=") :]
    names = set(re.findall(r"^(\w+)=", protections, re.MULTILINE)) - {"StateDirectory", "StateDirectoryMode"}
    assert names > NOT_FOR_PERSONS
    box.write("/etc/rotator/inside.py", INSIDE + "open('/var/lib/rotator/go').read()\n")
    box.write("/opt/rotator/bin/rotator", "#!/bin/sh\nexec /usr/bin/python3 /etc/rotator/inside.py\n", mode="0755")
    shown = f"systemctl show -p {','.join(sorted(names))}"
    said = box.run(
        "mkfifo -m 0666 /var/lib/rotator/go; rotator >/root/said & "
        "exec 3>/var/lib/rotator/go; "  # opens once it is read
        f"{shown} \"$(systemctl list-units --plain --no-legend 'rotator-shell-*' | cut -d' ' -f1)\"; exec 3>&-; wait"
    ).out
    person, service = (
        dict(line.split("=", 1) for line in text.splitlines())
        for text in (said, box.run(f"{shown} rotator-rotate@portal.service").out)
    )
    assert {name for name in names if person[name] != service[name]} == NOT_FOR_PERSONS, (person, service)
    assert (person["ProtectSystem"], person["MemorySwapMax"]) == ("full", "0")
    inside = box.read("/root/said").splitlines()
    for line in ("caps 0000000000000000 0000000000000000 1 2", "core (0, 0)", "umask 0o77", "root False False"):
        assert line in inside, inside
    assert "writable /var/lib/rotator" in inside


def test_a_person_reads_and_writes_the_files_that_they_name(ready: Server) -> None:
    box = ready.box
    box.run("install -d -m 0777 /home/alice /srv/out")
    for place in ("/home/alice/key.pem", "/tmp/key.pem", "/srv/out/key.pem"):  # noqa: S108 - a person's, in the box
        box.run(f"cd $(dirname {place}); rotator keys export portal --private --output key.pem")
        assert box.run(f"stat -c '%U %a' {place}").out.strip() == "rotator 600"
    box.run("rotator keys export portal >/home/alice/public.pem")
    box.run("cd /home/alice; rotator release portal --yes --private-to taken.pem")
    box.run("cd /home/alice; rotator adopt portal --key taken.pem --yes")
    assert ready.rotator("verify").status == 0
