"""`autotune doctor` as its reader sees it, on machines that do not exist."""

import json
from collections.abc import Callable

import pytest

from autotune.cli.doctor import closing_line, show_doctor
from autotune.doctor.check import Check, Grade
from autotune.doctor.probes import Tell
from autotune.doctor.readings import MachineReadings, Missing
from autotune.errors import EXIT_ERROR, EXIT_OK
from tests.doctor.builders import GIB, cpus, full_load, memory, readings

Output = pytest.CaptureFixture[str]
GOOD = readings()
POOR = readings(clock_source="hpet", memory=memory(swap_used_bytes=GIB), energy=Missing("no [x]"))
BAD = readings(cpus=cpus(quota_cpus=0.5), load=full_load(thermal_throttles=3))


@pytest.fixture(autouse=True)
def _narrow(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "80")


def finding(found: MachineReadings) -> Callable[[Tell], MachineReadings]:
    """A probe that finds this."""

    def probe(tell: Tell) -> MachineReadings:
        tell("loading all CPUs")
        return found

    return probe


@pytest.mark.parametrize("found", [GOOD, POOR, BAD])
def test_the_report_fits_80_columns(capsys: Output, found: MachineReadings) -> None:
    """Also with advice that is longer."""
    show_doctor(as_json=False, probe=finding(found))
    assert max(len(line.rstrip()) for line in capsys.readouterr().out.splitlines()) <= 80


def test_each_check_has_a_line_of_state_name_and_evidence(capsys: Output) -> None:
    """And a good machine no others, but the answer."""
    assert show_doctor(as_json=False, probe=finding(GOOD)) == EXIT_OK
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "PASS clock source    tsc" in lines
    assert "INFO energy counters readable, of the whole machine: package-0" in lines
    assert lines[-1] == "fit for measuring: 24 pass, 2 notes"
    assert not [line for line in lines if "->" in line]


def test_warnings_say_what_follows_and_what_to_do(capsys: Output) -> None:
    """Below the line, and the machine is fit all the same; text in brackets is no markup."""
    assert show_doctor(as_json=False, probe=finding(POOR)) == EXIT_OK
    out = capsys.readouterr().out
    assert "WARN clock source    hpet" in out
    assert "-> free memory, then swapoff -a && swapon -a" in out
    assert "no [x]" in out
    assert out.splitlines()[-1] == "fit for measuring: 22 pass, 2 warnings, 2 notes"


def test_a_failure_makes_the_machine_unfit(capsys: Output) -> None:
    """And the command fails, so that a script may stop."""
    assert show_doctor(as_json=False, probe=finding(BAD)) == EXIT_ERROR
    out = capsys.readouterr().out
    assert "FAIL temperature     throttled 3 times under full load" in out
    assert out.splitlines()[-1] == "not fit for measuring: 2 failures, 22 pass, 2 notes"


def test_json_has_the_same_checks_and_a_summary(capsys: Output) -> None:
    """Nothing but JSON on the output, and the same exit code."""
    assert show_doctor(as_json=True, probe=finding(BAD)) == EXIT_ERROR
    report = json.loads(capsys.readouterr().out)
    assert report["summary"] == {"fit": False, "pass": 22, "warn": 0, "fail": 2, "info": 2}
    by_name = {check["name"]: check for check in report["checks"]}
    assert set(by_name["CPUs"]) == {"name", "state", "evidence", "consequence", "remedy"}
    assert by_name["CPUs"]["state"] == "fail"
    assert by_name["timer"]["consequence"] == ""


def test_the_closing_line_counts_in_words() -> None:
    """One warning, two warnings; what does not occur is left out."""
    checks = [Check("a", state, "b") for state in (Grade.PASS, Grade.WARN, Grade.INFO)]
    assert closing_line(checks) == "fit for measuring: 1 pass, 1 warning, 1 note"
    checks += [Check("a", state, "b") for state in (Grade.FAIL, Grade.WARN, Grade.PASS)]
    assert closing_line(checks) == "not fit for measuring: 1 failure, 2 warnings, 2 pass, 1 note"


def test_a_terminal_sees_what_is_being_probed(
    capsys: Output, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One line, which is gone when the report is printed."""
    monkeypatch.setenv("FORCE_COLOR", "1")
    monkeypatch.setenv("TERM", "xterm")
    show_doctor(as_json=False, probe=finding(GOOD))
    out = capsys.readouterr().out
    assert "loading all CPUs ..." in out
    assert out.index("loading all CPUs ...") < out.index("clock source")
