"""Make a variant of a model: smaller weights by the runtime or NNCF, or int8 by NNCF.

NNCF is imported here only, in a process that makes one variant and leaves. It would report its use
over the network: its own variable for machines that test turns that off.
"""

import os
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openvino as ov

from autotune.worker import model
from autotune.worker.asked import WorkloadData, load_asked
from autotune.worker.ceiling import at_most_more
from autotune.worker.files import of_any_size
from autotune.worker.gather import image_input
from autotune.worker.inputs import DataError, Sample, input_name
from autotune.workload.preparing import prepare, size_in
from autotune.workload.variants import VariantRecipe

_QUIET = "NNCF_CI"
_STEPS = 5
"""So often the progress of calibration is said."""


class BuildError(RuntimeError):
    """A variant cannot be made; the message says why."""


def build(  # noqa: PLR0913 - the fields of a message
    core: ov.Core,
    progress: Callable[[str], None],
    *,
    given: str,
    shapes: dict[str, list[int]],
    recipe: dict[str, Any],
    samples: str | None,
    calibrating: Sequence[int],
    target: str,
    memory_bytes: int | None,
) -> dict[str, Any]:
    """Write a model file; what was done, as the fields of an answer.

    Args:
        core: the runtime.
        progress: hears of every step, each of which has its time.
        given: the model as it was given.
        shapes: static ones, at batch 1, where images are to be prepared; else empty.
        recipe: as `VariantRecipe.to_dict` has it.
        samples: the file of a workload; None where nothing is calibrated.
        calibrating: numbers of the samples that may be seen.
        target: the .xml file to write, its weights beside it.
        memory_bytes: so much more than now may be taken.

    Raises:
        BuildError: it cannot be made, or something is missing.
        DataError: there is nothing to calibrate with.
        MemoryError: it takes more memory than it may.
    """
    asked = VariantRecipe.from_dict(recipe)
    network = model.load(core, Path(given))
    with at_most_more(memory_bytes):
        if asked.compress == "fp16":
            made = network
        else:
            made = _by_nncf(network, core, progress, asked, given, shapes, samples, calibrating)
    with of_any_size():
        ov.save_model(made, target, compress_to_fp16=asked.compress == "fp16")
    done, all_of_kind = _quantised(core.read_model(target))
    return {
        "operations": {kind: [done[kind], count] for kind, count in all_of_kind.items()},
        "calibrated": len(calibrating) if asked.needs_samples else 0,
        "openvino": ov.get_version(),
        "nncf": _version() if asked.needs_nncf else None,
    }


def _version() -> str:
    import nncf

    return str(nncf.__version__)


def _by_nncf(  # noqa: PLR0913, PLR0917 - as above
    network: ov.Model,
    core: ov.Core,
    progress: Callable[[str], None],
    asked: VariantRecipe,
    given: str,
    shapes: dict[str, list[int]],
    samples: str | None,
    calibrating: Sequence[int],
) -> ov.Model:
    os.environ[_QUIET] = "1"
    progress("loading NNCF")
    try:
        import nncf
    except ImportError as error:
        missing = "NNCF" if error.name in {None, "nncf"} else f"{error.name}, which NNCF needs,"
        message = f'{missing} is not installed: pip install "openvino-autotune[int8]"'
        raise BuildError(message) from None
    ignored = nncf.IgnoredScope(names=list(asked.ignored)) if asked.ignored else None
    if asked.compress is not None:
        progress(f"compressing weights to {asked.compress}")
        mode = nncf.CompressWeightsMode[asked.compress.upper()]
        return _explained(lambda: nncf.compress_weights(network, mode=mode, ignored_scope=ignored))
    if samples is None or not calibrating:
        message = "there is nothing to calibrate with: no sample is left that is not held out"
        raise DataError(message)
    data = load_asked(Path(samples))
    ready = _as_taken(model.read(core, Path(given), shapes) if shapes else network, data)
    more: dict[str, Any] = {}
    if asked.preset is not None:
        more["preset"] = nncf.QuantizationPreset(asked.preset)
    if asked.transformer:
        more["model_type"] = nncf.ModelType.TRANSFORMER
    dataset = nncf.Dataset(_Told(data, calibrating, ready, progress))
    return _explained(
        lambda: nncf.quantize(
            network, dataset, subset_size=len(calibrating), ignored_scope=ignored, **more
        )
    )


def _explained(make: Callable[[], Any]) -> ov.Model:
    """What NNCF makes; whatever it raises in one line.

    Raises:
        BuildError: it could not.
    """
    try:
        return make()
    except MemoryError:
        raise
    except Exception as error:  # its own and those of what it needs
        said = model.last_line(error)
        raise BuildError(f"NNCF cannot make it: {type(error).__name__}: {said}") from error


def _as_taken(network: ov.Model, data: WorkloadData) -> Callable[[Sample], Sample]:
    """From a sample as it comes to one as the model takes it."""
    how = data.preprocessing
    if how is None:
        return lambda sample: sample
    name = image_input(network, how)
    port = next(one for one in network.inputs if input_name(one) == name)
    size = size_in([one.get_length() if one.is_static else -1 for one in port.partial_shape], how)
    return lambda sample: {**sample, name: prepare(sample[name][0], how, *size)}


class _Told:
    """Samples for calibration, with a word on how far it is; it goes through them several times."""

    def __init__(
        self,
        data: WorkloadData,
        numbers: Sequence[int],
        ready: Callable[[Sample], Sample],
        progress: Callable[[str], None],
    ) -> None:
        self._data = data
        self._numbers = numbers
        self._ready = ready
        self._progress = progress

    def __iter__(self) -> Iterator[Sample]:
        each = max(1, len(self._numbers) // _STEPS)
        for place, number in enumerate(self._numbers):
            if place % each == 0:
                self._progress(f"calibrating: sample {place + 1} of {len(self._numbers)}")
            yield dict(self._ready(self._data.samples[number]))

    def __len__(self) -> int:
        return len(self._numbers)


_COMPUTING = {
    "Convolution",
    "ConvolutionBackpropData",
    "GroupConvolution",
    "GroupConvolutionBackpropData",
    "MatMul",
    "Gather",
}
"""Operations whose weights or inputs may be quantised."""


def _quantised(network: ov.Model) -> tuple[Counter[str], Counter[str]]:
    """By kind, how many operations have a quantised input or weight, and how many there are."""
    done: Counter[str] = Counter()
    every: Counter[str] = Counter()
    for node in network.get_ordered_ops():
        kind = node.get_type_name()
        if kind not in _COMPUTING:
            continue
        every[kind] += 1
        done[kind] += any(_is_quantised(value.get_node()) for value in node.input_values())
    return done, every


def _is_quantised(node: Any, depth: int = 6) -> bool:
    """Whether a value comes from a quantised constant, or was quantised before."""
    kind = node.get_type_name()
    if kind == "FakeQuantize":
        return True
    if kind == "Constant":
        return str(node.get_element_type().get_type_name()) in {"i8", "u8", "i4", "u4", "nf4"}
    if depth and kind in {"Convert", "Multiply", "Subtract", "Reshape", "Transpose"}:
        return any(_is_quantised(value.get_node(), depth - 1) for value in node.input_values())
    return False
