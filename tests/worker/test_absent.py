"""A device that is not here has a reason, in the runtime's words."""

from typing import Any

import openvino as ov
import pytest

from autotune.worker.absent import absent


class Plugins:
    """A runtime whose plugins answer as they are told to, or raise it."""

    def __init__(self, **answers: Any) -> None:
        self._answers = answers

    def get_property(self, device: str, name: str) -> Any:
        """Of its devices."""
        assert name == "AVAILABLE_DEVICES"
        answer = self._answers[device]
        if isinstance(answer, Exception):
            raise answer
        return answer


MISSING_LIBRARY = RuntimeError(
    "Exception from src/inference/src/cpp/core.cpp:268:\n"
    'Cannot load library "/somewhere/libopenvino_intel_gpu_plugin.so": libOpenCL.so.1: '
    "cannot open shared object file: No such file or directory\n\n"
)


@pytest.mark.parametrize(
    ("answer", "why"),
    [
        (MISSING_LIBRARY, "libOpenCL.so.1 cannot be loaded (No such file or directory)"),
        ([], "the runtime finds none, or no driver for it"),
        (RuntimeError("a\nDevice is busy\n"), "Device is busy"),
        (TypeError("no Python type"), "no Python type"),
        (["0"], "the runtime names 0 of it, and does not list it"),
    ],
)
def test_the_runtime_says_why_a_device_is_not_here(answer: Any, why: str) -> None:
    """A library by its name, and no path of this machine; anything else as it is."""
    core: Any = Plugins(GPU=answer, NPU=[])
    assert absent(core, ["CPU"])["GPU"] == why


def test_what_is_here_is_not_absent() -> None:
    """Also where there are several."""
    core: Any = Plugins(NPU=[])
    assert set(absent(core, ["CPU", "GPU.0", "GPU.1"])) == {"NPU"}
    assert absent(core, ["GPU", "NPU"]) == {}


@pytest.mark.openvino
def test_the_runtime_here_answers() -> None:
    """Whatever it has; no path is in what it says."""
    core = ov.Core()
    found = absent(core, core.available_devices)
    assert set(found) <= {"GPU", "NPU"}
    assert all(why and "/" not in why for why in found.values())
