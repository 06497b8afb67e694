"""Sessions for tests: what they say is kept, and the runtime may be another one."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.worker.session import Session


class Answers:
    """Keeps what was said, but for what only says that it goes on; wants one block of each load."""

    def __init__(self) -> None:
        self.said: list[dict[str, Any]] = []

    def say(self, word: str, **fields: Any) -> None:
        """Keep it."""
        if word != "progress":
            self.said.append({"say": word, **fields})

    def is_told_to_go_on(self) -> bool:
        """Never."""
        return False


class Studied:
    """One model, inspected and opened by sessions that share a reference."""

    def __init__(
        self,
        folder: Path,
        network: ov.Model,
        data: Mapping[str, np.ndarray] | None = None,
        devices: tuple[str, ...] = ("CPU",),
        core: Any = None,
    ) -> None:
        path, inputs = folder / "model.xml", folder / "data.npz"
        ov.save_model(network, path, compress_to_fp16=False)
        if data is not None:
            np.savez(inputs, **data)  # type: ignore[arg-type]  # its stub types one keyword
        self.reference = folder / "reference.npz"
        self._core = core
        self._devices = devices
        self._fields: dict[str, Any] = {
            "path": str(path),
            "shapes": {},
            "inputs": None if data is None else str(inputs),
            "reference": str(self.reference),
        }

    def inspected(self, *, try_batch: bool = True) -> dict[str, Any]:
        """What inspection says."""
        return self._obey({"do": "inspect", "devices": list(self._devices), "try_batch": try_batch})

    def opened(
        self, batch_size: int = 1, device: str = "CPU", precision: str = "", **more: str
    ) -> dict[str, Any]:
        """What opening says."""
        properties = {"PERFORMANCE_HINT": "LATENCY", **more}
        if precision:
            properties["INFERENCE_PRECISION_HINT"] = precision
        return self._obey(
            {"do": "open", "device": device, "properties": properties, "batch_size": batch_size}
        )

    def _obey(self, command: dict[str, Any]) -> dict[str, Any]:
        answers = Answers()
        Session(answers, self._core).obey({**command, **self._fields})
        return answers.said[-1]


OTHER_ANSWERS = "DYNAMIC_QUANTIZATION_GROUP_SIZE"
"""A property that is in no table, and changes what the fake device's CPU answers."""


def _off(output: np.ndarray, _: int) -> np.ndarray:
    return output * np.float32(1.3)


class FakeDevice:
    """A runtime with a GPU beside the CPU, whose answers are the CPU's in f32, changed.

    `change` is given every output and the batch size, and returns what the device makes of it.
    """

    def __init__(self, change: Callable[[np.ndarray, int], np.ndarray]) -> None:
        self._core = ov.Core()
        self._change = change
        self.available_devices = ["CPU", "GPU"]

    def compile_model(self, network: ov.Model, device: str, properties: Any = None) -> Any:
        """On the CPU in any case."""
        named = dict(properties or {})
        if named.pop(OTHER_ANSWERS, None) is not None:
            return _FakeCompiled(self._core.compile_model(network, device, named), "f32", _off)
        if device == "CPU":
            return self._core.compile_model(network, device, named)
        exact = self._core.compile_model(network, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
        wanted = (properties or {}).get("INFERENCE_PRECISION_HINT", "f16")
        return _FakeCompiled(exact, wanted, self._change)

    def get_property(self, device: str, name: str, asked: Any = None) -> Any:
        """As a GPU says it."""
        if device == "CPU":
            told = () if asked is None else (asked,)
            return self._core.get_property(device, name, *told)
        said = {
            "FULL_DEVICE_NAME": "fake",
            "OPTIMIZATION_CAPABILITIES": ["FP16", "FP32"],
            "RANGE_FOR_STREAMS": [1, 2],
        }
        if name not in said:
            message = f"Unsupported property {name}"
            raise RuntimeError(message)
        return said[name]

    def __getattr__(self, name: str) -> Any:
        return getattr(self._core, name)


class _FakeCompiled:
    def __init__(self, exact: Any, precision: str, change: Any) -> None:
        self._exact, self._change, self._precision = exact, change, precision
        self.inputs, self.outputs = exact.inputs, exact.outputs

    def get_property(self, name: str) -> Any:
        """The precision, and which properties there are."""
        if name == "SUPPORTED_PROPERTIES":
            return ["INFERENCE_PRECISION_HINT"]
        if name != "INFERENCE_PRECISION_HINT":
            message = f"Unsupported property {name}"
            raise RuntimeError(message)
        return self._precision

    def create_infer_request(self) -> Any:
        """One whose outputs are changed."""
        return _FakeRequest(self._exact.create_infer_request(), self._change)


class _FakeRequest:
    def __init__(self, exact: Any, change: Any) -> None:
        self._exact, self._change = exact, change

    def get_output_tensor(self, index: int) -> ov.Tensor:
        """As the device has it."""
        output = np.array(self._exact.get_output_tensor(index).data)
        return ov.Tensor(np.ascontiguousarray(self._change(output, output.shape[0])))

    def __getattr__(self, name: str) -> Any:
        return getattr(self._exact, name)
