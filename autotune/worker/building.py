"""Make a variant of a model: smaller weights by the runtime or NNCF, or int8 by NNCF.

NNCF is imported here only, in a process that makes one variant and leaves. It would report its use
over the network: its own variable for machines that test turns that off.
"""

import os
import tempfile
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any

import openvino as ov

from autotune.errors import InputCodeError
from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.worker import model
from autotune.worker.asked import load_asked
from autotune.worker.ceiling import at_most_more
from autotune.worker.files import of_any_size
from autotune.worker.gather import image_input
from autotune.worker.giving_back import AIM, Nearness, Scorer, Taken
from autotune.worker.inputs import DataError, Sample, input_name
from autotune.workload.preparing import prepare, size_in
from autotune.workload.variants import VariantRecipe

_QUIET = "NNCF_CI"
_WHOLE = "intermediate_model.xml"
"""What NNCF calls the file of the whole quantised model."""
_RANKED = 64
"""So many samples, of those that differ most, rank the operations."""
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
    near: dict[str, Any] | None,
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
        near: as `Nearness.of` takes it; None where nothing is given back.
        target: the .xml file to write, its weights beside it.
        memory_bytes: so much more than now may be taken.

    Raises:
        BuildError: it cannot be made, or something is missing.
        DataError: there is nothing to calibrate with.
        MemoryError: it takes more memory than it may.
    """
    asked = VariantRecipe.from_dict(recipe)
    made = model.load(core, Path(given))
    given_back: list[str] = []
    with at_most_more(memory_bytes):
        if asked.compress != "fp16":
            _load_nncf(progress)
        if asked.compress not in {None, "fp16"}:
            made = _compressed(made, asked, progress)
        elif asked.needs_samples:
            taken = _as_taken(made, core, given, shapes, samples, calibrating)
            made, given_back = _quantised(made, core, progress, asked, taken, calibrating, near)
    with of_any_size():
        ov.save_model(made, target, compress_to_fp16=asked.compress == "fp16")
    done, all_of_kind = _counted(core.read_model(target))
    return {
        "operations": {kind: [done[kind], count] for kind, count in all_of_kind.items()},
        "calibrated": len(calibrating) if asked.needs_samples else 0,
        "given_back": given_back,
        "openvino": ov.get_version(),
        "nncf": _version() if asked.needs_nncf else None,
    }


def _version() -> str:
    import nncf

    return str(nncf.__version__)


def _load_nncf(progress: Callable[[str], None]) -> None:
    os.environ[_QUIET] = "1"
    progress("loading NNCF")
    try:
        import nncf  # noqa: F401 - loaded here, so that whoever imports it later need not wait
    except ImportError as error:
        missing = "NNCF" if error.name in {None, "nncf"} else f"{error.name}, which NNCF needs,"
        message = f'{missing} is not installed: pip install "openvino-autotune[int8]"'
        raise BuildError(message) from None


def _compressed(
    network: ov.Model, asked: VariantRecipe, progress: Callable[[str], None]
) -> ov.Model:
    import nncf

    progress(f"compressing weights to {asked.compress}")
    mode = nncf.CompressWeightsMode[str(asked.compress).upper()]
    return _explained(
        lambda: nncf.compress_weights(network, mode=mode, ignored_scope=_ignored(asked))
    )


def _ignored(asked: VariantRecipe) -> Any:
    import nncf

    return nncf.IgnoredScope(names=list(asked.ignored)) if asked.ignored else None


def _quantised(  # noqa: PLR0913, PLR0917 - as above
    network: ov.Model,
    core: ov.Core,
    progress: Callable[[str], None],
    asked: VariantRecipe,
    taken: Taken,
    calibrating: Sequence[int],
    near: dict[str, Any] | None,
) -> tuple[ov.Model, list[str]]:
    """A quantised model, and the names of the operations that were given back."""
    import nncf

    more: dict[str, Any] = {"subset_size": len(calibrating), "ignored_scope": _ignored(asked)}
    if asked.preset is not None:
        more["preset"] = nncf.QuantizationPreset(asked.preset)
    if asked.transformer:
        more["model_type"] = nncf.ModelType.TRANSFORMER
    dataset = nncf.Dataset(_Told(taken, calibrating, progress))
    if not asked.accuracy_aware:
        return _explained(lambda: nncf.quantize(network, dataset, **more)), []
    if near is None:
        message = "there is no guard whose metric says what is too far off"
        raise BuildError(message)
    nearness = Nearness.of(near, len(taken.data.samples))
    with Scorer(taken, nearness, progress) as scorer, tempfile.TemporaryDirectory() as whole:
        exact = core.compile_model(network, "CPU", {ARITHMETIC_PROPERTY: "f32"})
        own = scorer.learn(exact, calibrating)
        scale = abs(own) if nearness.is_relative else 1.0
        advanced = nncf.AdvancedAccuracyRestorerParameters(
            ranking_subset_size=min(_RANKED, len(calibrating)),
            num_ranking_workers=1,
            intermediate_model_dir=whole,
        )
        made = _explained(
            lambda: nncf.quantize_with_accuracy_control(
                network,
                dataset,
                nncf.Dataset(list(calibrating)),
                scorer,
                max_drop=AIM * nearness.max_drop * scale,
                drop_type=nncf.DropType.ABSOLUTE,
                advanced_accuracy_restorer_parameters=advanced,
                **more,
            )
        )
        before = core.read_model(Path(whole) / _WHOLE)
        return made, sorted(_names(before) - _names(made))


def _explained(make: Callable[[], Any]) -> ov.Model:
    """What NNCF makes; whatever it raises in one line.

    Raises:
        BuildError: it could not.
    """
    try:
        return make()
    except (MemoryError, InputCodeError, DataError):
        raise
    except Exception as error:  # its own and those of what it needs
        said = model.last_line(error)
        raise BuildError(f"NNCF cannot make it: {type(error).__name__}: {said}") from error


def _as_taken(
    network: ov.Model,
    core: ov.Core,
    given: str,
    shapes: dict[str, list[int]],
    samples: str | None,
    calibrating: Sequence[int],
) -> Taken:
    """All samples, and from one as it comes to one as the model takes it.

    Raises:
        DataError: there is none to calibrate with.
    """
    if samples is None or not calibrating:
        message = "there is nothing to calibrate with: no sample is left that is not held out"
        raise DataError(message)
    data = load_asked(Path(samples))
    how = data.preprocessing
    if how is None:
        return Taken(data, lambda sample: sample)
    static = model.read(core, Path(given), shapes) if shapes else network
    name = image_input(static, how)
    port = next(one for one in static.inputs if input_name(one) == name)
    size = size_in([one.get_length() if one.is_static else -1 for one in port.partial_shape], how)
    return Taken(data, lambda sample: {**sample, name: prepare(sample[name][0], how, *size)})


class _Told:
    """Samples for calibration, with a word on how far it is; it goes through them several times."""

    def __init__(
        self, taken: Taken, numbers: Sequence[int], progress: Callable[[str], None]
    ) -> None:
        self._taken = taken
        self._numbers = numbers
        self._progress = progress

    def __iter__(self) -> Iterator[Sample]:
        each = max(1, len(self._numbers) // _STEPS)
        for place, number in enumerate(self._numbers):
            if place % each == 0:
                self._progress(f"calibrating: sample {place + 1} of {len(self._numbers)}")
            yield dict(self._taken.of(number))

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


def _counted(network: ov.Model) -> tuple[Counter[str], Counter[str]]:
    """By kind, how many operations have a quantised input or weight, and how many there are."""
    nodes = [node for node in network.get_ordered_ops() if node.get_type_name() in _COMPUTING]
    done = Counter(node.get_type_name() for node in nodes if _has_quantised(node))
    return done, Counter(node.get_type_name() for node in nodes)


def _names(network: ov.Model) -> set[str]:
    """Of the operations with a quantised input or weight."""
    nodes = [node for node in network.get_ordered_ops() if node.get_type_name() in _COMPUTING]
    return {str(node.get_friendly_name()) for node in nodes if _has_quantised(node)}


def _has_quantised(node: Any) -> bool:
    return any(_is_quantised(value.get_node()) for value in node.input_values())


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
