"""`devices`: every device with every dimension, or why it is not here."""

import json
from pathlib import Path

import pytest

from autotune.cli.devices import show_devices
from autotune.domain.inspection import DeviceFacts, Overview
from autotune.errors import DeviceError, SpecError, UsageError
from autotune.space.devices import KINDS, Through
from autotune.space.dimensions import TABLE
from autotune.spec.profile import load_profile
from tests.command import Autotune

PROFILES = sorted((Path(__file__).parent.parent / "profiles").glob("*.toml"))
TUNED = [one.name for one in TABLE if one.tunable and one.name != "device"]


def lines_of(text: str, name: str) -> list[list[str]]:
    """Of the part of a device: the first words, and the rest."""
    parts = [part.splitlines() for part in text.split("\n\n")]
    found = next(part for part in parts if part[0].split()[0] == name)
    return [line.split(maxsplit=1) for line in found[1:]]


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_every_dimension_of_every_device_is_shown(
    path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """What is tuned, what may be named, or why it is not there; within 80 columns."""
    monkeypatch.setenv("COLUMNS", "80")
    show_devices(as_json=False, profile=path)
    said = capsys.readouterr().out
    profile = load_profile(path)
    assert profile.name in said.splitlines()[0]
    assert all(len(line) <= 80 for line in said.splitlines()[1:])
    for name, facts in profile.devices.items():
        assert facts.name in said
        rows = {line[0]: line[1] for line in lines_of(said, name) if len(line) == 2}
        part = next(one for one in said.split("\n\n") if one.split()[0] == name)
        together = set(part.partition("\n     not here ")[2].replace(",", " ").split())
        for dimension in TUNED:
            outcome = rows.get(dimension, "")
            said_so = outcome.startswith(("tuned: ", "always ", "not here: ", "tuned where"))
            assert said_so != (dimension in together), dimension


@pytest.mark.parametrize("path", PROFILES, ids=lambda path: path.stem)
def test_programs_get_the_same(path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """With what each device says of itself; no choice without a reason."""
    show_devices(as_json=True, profile=path)
    shown = json.loads(capsys.readouterr().out)
    assert shown.keys() == load_profile(path).devices.keys()
    for device in shown.values():
        assert {"name", "capabilities", "streams", "requests", "properties"} <= device.keys()
        assert list(device["dimensions"]) == TUNED
        for outcome in device["dimensions"].values():
            assert outcome["choices"] or outcome["why_not"] or outcome["expert"]


def test_a_device_that_stands_for_others_is_shown_by_name(
    capsys: pytest.CaptureFixture[str],
) -> None:
    """With what all of them have in common."""
    npu = next(path for path in PROFILES if path.stem == "npu")
    show_devices(("MULTI:GPU,CPU", "AUTO"), as_json=False, profile=npu)
    said = capsys.readouterr().out
    assert "MULTI:GPU,CPU stands for GPU, CPU" in said
    assert "AUTO  stands for whatever the runtime chooses" in said
    assert "AUTO does not say which devices it stands for" in " ".join(said.split())


def test_how_to_ask_for_each_that_stands_for_others(capsys: pytest.CaptureFixture[str]) -> None:
    """With the devices that are there, the CPU last: it is what is left."""
    npu = next(path for path in PROFILES if path.stem == "npu")
    show_devices(as_json=False, profile=npu)
    said = capsys.readouterr().out
    for kind in KINDS:
        if kind.through is not Through.ITSELF:
            (name,) = kind.names
            asked = "BATCH:GPU(4)" if name == "BATCH" else f"{name}:GPU,NPU,CPU"
            assert f"--device '{asked}'" in said


def test_a_device_that_is_not_there_is_refused_with_what_is() -> None:
    """Also as one of several."""
    laptop = next(path for path in PROFILES if path.stem == "hybrid-laptop")
    for name in ("NPU", "AUTO:NPU,CPU"):
        with pytest.raises(DeviceError, match=f"'{name}' is not here: the devices here are CPU"):
            show_devices((name,), as_json=False, profile=laptop)


def test_a_name_that_the_runtime_refuses_is_not_shown() -> None:
    """As a study refuses it."""
    laptop = next(path for path in PROFILES if path.stem == "hybrid-laptop")
    for name, why in {"AUTO: CPU": "is no name", "BATCH:CPU(0)": "a count from 1 on"}.items():
        with pytest.raises(DeviceError, match=why):
            show_devices((name,), as_json=False, profile=laptop)


def seen_here(monkeypatch: pytest.MonkeyPatch, **absent: str) -> None:
    """A machine with a CPU, of which the runtime says this of what is not here."""
    facts = DeviceFacts(name="a CPU", capabilities=("FP32",), streams=(1, 2))
    seen = Overview(
        openvino="2026.4.1-22982-abc", devices={"CPU": facts}, inputs=(), outputs=(), absent=absent
    )
    monkeypatch.setattr("autotune.cli.devices.look", lambda _: seen)


def test_what_is_not_here_says_why(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """In the runtime's words, below what is here, and to whoever asks for it."""
    seen_here(monkeypatch, GPU="libOpenCL.so.1 cannot be loaded", NPU="no driver")
    show_devices(as_json=False)
    said = capsys.readouterr().out
    assert "GPU  not here: libOpenCL.so.1 cannot be loaded" in said
    assert "NPU  not here: no driver" in said
    assert "OpenVINO 2026.4.1-22982\n" in said
    with pytest.raises(DeviceError, match=r"'GPU' is not here: libOpenCL\.so\.1 cannot be loaded"):
        show_devices(("GPU",), as_json=True)


def test_a_recording_is_shown_again_as_a_profile(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    """The same devices and choices, without this machine."""
    seen_here(monkeypatch)
    path = tmp_path / "here.toml"
    show_devices(as_json=False, record=path)
    said = capsys.readouterr().out
    assert f"wrote {path}" in said
    assert load_profile(path).name == "here"
    show_devices(("CPU",), as_json=False, profile=path)
    again = capsys.readouterr().out
    assert lines_of(again, "CPU") == lines_of(said, "CPU")


def test_a_profile_is_read_or_written(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Never both; and nothing but a profile is written over."""
    seen_here(monkeypatch)
    path = tmp_path / "p.toml"
    with pytest.raises(UsageError, match="give one of them"):
        show_devices(as_json=False, profile=path, record=path)
    with pytest.raises(UsageError, match=r"--record: must end with \.toml"):
        show_devices(as_json=False, record=tmp_path / "model.xml")
    with pytest.raises(SpecError, match="cannot be read"):
        show_devices(as_json=False, profile=path)


@pytest.mark.openvino
def test_a_profile_starts_nothing_of_the_runtime(
    autotune: Autotune, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is for hardware that is not here, and machines without a runtime."""
    monkeypatch.setattr("autotune.cli.devices.look", None)
    assert "8 P, 8 E" in autotune("devices", "--profile", str(PROFILES[1])).out


@pytest.mark.openvino
def test_this_machine_is_recorded(autotune: Autotune, tmp_path: Path) -> None:
    """By the runtime that is here."""
    path = tmp_path / "here.toml"
    autotune("devices", "--record", str(path))
    found = load_profile(path)
    assert "CPU" in found.devices
    assert found.hardware.devices["CPU"].properties["NUM_STREAMS"] == "RW"
