"""Look at a mix of shapes before anything is measured: answers, costs, and what padding does.

The reference is the plainest form: a static model of an item's own shape, one request, in f32.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import openvino as ov

from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.space.shape_plan import Serving, ShapePlan, Sizes
from autotune.worker import model
from autotune.worker.answers import deviation
from autotune.worker.asked import WorkloadData
from autotune.worker.batches import STRICT, WrongOutputError
from autotune.worker.inputs import Sample, shapes_of
from autotune.worker.mixed import MixedModels, open_to, prove_mixed
from autotune.worker.parts import Answer
from autotune.workload.costs import in_words, to_measure
from autotune.workload.mix import Mix

_LEAST_RUNS, _MOST_RUNS, _LONGEST_S = 5, 50, 0.3
"""Of a request whose cost is measured."""


@dataclass(frozen=True, slots=True, kw_only=True)
class MixBench:
    """What a mix is looked at with."""

    core: ov.Core
    read: Callable[[], ov.Model]
    """The model as its file has it."""
    asked: WorkloadData
    device: str
    arithmetic: str
    """Of the reference: f32 where the device has it."""
    progress: Callable[[str], None]

    @property
    def mix(self) -> Mix:
        """The shapes."""
        assert self.asked.mix is not None  # noqa: S101 - for the type checker
        return self.asked.mix

    def compiled(self, network: ov.Model, what: str) -> ov.CompiledModel:
        """In the precision of the reference."""
        self.progress(f"compiling {what}")
        chosen = {ARITHMETIC_PROPERTY: self.arithmetic} if self.arithmetic else {}
        return self.core.compile_model(network, self.device, chosen)


def look_at_mix(bench: MixBench) -> tuple[list[Answer], dict[str, Any]]:
    """Each sample's answer when it is asked alone, and the fields of `WorkloadFacts` on the mix.

    Raises:
        RuntimeError: the model cannot be run in a shape of the mix.
    """
    mix = bench.mix
    own = [mix.sizes_of(shapes_of(one)) for one in bench.asked.samples]
    answers: dict[int, Answer] = {}
    costs = []
    for sizes in to_measure(mix.sizes, mix.weights):
        compiled, mine = _static(bench, sizes), _of_size(own, sizes)
        answers |= {n: model.answer(compiled, bench.asked.samples[n]) for n in mine}
        costs.append((sizes, _cost_ms(compiled, bench.asked.samples[mine[0]])))
    why_open, more = _open_shapes(bench, answers)
    answers = more | answers
    for sizes in dict.fromkeys(one for number, one in enumerate(own) if number not in answers):
        compiled = _static(bench, sizes)
        answers |= {n: model.answer(compiled, bench.asked.samples[n]) for n in _of_size(own, sizes)}
    exact = [answers[number] for number in range(len(own))]
    return exact, {
        "costs_ms": costs,
        "why_no_open_shapes": why_open,
        "why_no_padding": _why_no_padding(bench, exact),
    }


def _of_size(own: Sequence[Sizes], sizes: Sizes) -> list[int]:
    """Samples, by number."""
    return [number for number, found in enumerate(own) if found == sizes]


def _static(bench: MixBench, sizes: Sizes) -> ov.CompiledModel:
    network = bench.read()
    open_to(network, bench.mix.shapes_of(sizes))
    return bench.compiled(network, in_words(sizes))


def _cost_ms(compiled: ov.CompiledModel, sample: Sample) -> float:
    """Median time of a lone request, after one that does not count."""
    request = compiled.create_infer_request()
    model.infer_by(request, compiled, sample)
    times: list[float] = []
    begun = time.perf_counter()
    while len(times) < _LEAST_RUNS or (
        len(times) < _MOST_RUNS and time.perf_counter() - begun < _LONGEST_S
    ):
        request.start_async()
        request.wait()
        times.append(request.latency)
    return statistics.median(times)


def _open_shapes(bench: MixBench, known: dict[int, Answer]) -> tuple[str | None, dict[int, Answer]]:
    """Why dimensions cannot be left open; and the answers of all samples where they can."""
    network = bench.read()
    (form,) = bench.mix.forms(ShapePlan(Serving.DYNAMIC))
    try:
        open_to(network, form)
        compiled = bench.compiled(network, "with open dimensions")
        found = [model.answer(compiled, sample) for sample in bench.asked.samples]
    except RuntimeError as error:
        return f"the model cannot be run with open dimensions: {model.last_line(error)}", {}
    for number, exact in known.items():
        off = deviation([found[number]], [exact])
        if off is None or off > STRICT:
            far = "not finite" if off is None else f"off by {off:.2g} of its largest value"
            return f"with open dimensions the answer of sample {number + 1} is {far}", {}
    return None, dict(enumerate(found))


def _why_no_padding(bench: MixBench, exact: Sequence[Answer]) -> str | None:
    """Why items may not be made larger; None where that was said to be harmless, and is."""
    if not bench.mix.may_pad:
        return "no padding was said to be harmless: [workload] pad"
    served = MixedModels(read=bench.read, asked=bench.asked, plan=ShapePlan(Serving.PADDED))
    try:
        compiled = [bench.compiled(one, "what is padded") for one in served.networks()]
        bench.progress("comparing what is padded")
        prove_mixed(served, compiled, exact, bench.arithmetic or "f32")
    except WrongOutputError as error:
        return f"padding changes answers: {error}"
    except RuntimeError as error:
        return f"the padded model cannot be run: {model.last_line(error)}"
    return None
