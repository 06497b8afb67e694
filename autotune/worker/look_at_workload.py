"""Look at a workload on a machine before anything is measured: what may be done with it."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov

from autotune.space.dimensions import ARITHMETIC_PROPERTY
from autotune.worker import model
from autotune.worker.asked import WorkloadData
from autotune.worker.gather import image_input
from autotune.worker.inputs import input_name
from autotune.worker.look_at_mix import MixBench, look_at_mix
from autotune.worker.own_answers import save_own_answers
from autotune.worker.preprocessing import why_no_graph
from autotune.worker.states import in_sequence
from autotune.workload.inputs import MOST_OF_ONE_SHAPE
from autotune.workload.preparing import image_size
from autotune.workload.workload import States

_ANY = 2
_MOST_IMAGES = 8
"""On which host and graph are compared."""


@dataclass(frozen=True, slots=True, kw_only=True)
class WorkloadBench:
    """What a workload is looked at with."""

    core: ov.Core
    path: Path
    network: ov.Model
    """Statically shaped, at batch 1."""
    asked: WorkloadData
    device: str
    arithmetic: str
    """Of the reference."""
    reference: Path
    progress: Callable[[str], None]


def look_at_workload(bench: WorkloadBench) -> dict[str, Any]:
    """The fields of `WorkloadFacts`; answers of a mix or sequence go beside the reference.

    Raises:
        RuntimeError: the model cannot be run in a shape of the mix.
        PreparationError: an image cannot be prepared.
    """
    asked = bench.asked
    found: dict[str, Any] = {
        "samples": _fed_of(asked),
        "is_random": asked.is_random,
        "notes": list(asked.notes),
        "states": asked.states,
        "is_prepared": asked.preprocessing is not None,
        "images_vary": asked.images_vary,
        "stand_ins": {input_name(port): list(port.get_shape()) for port in bench.network.inputs},
    }
    if asked.mix is not None:
        found |= _mixed(bench)
    if asked.states is States.CARRIED:
        bench.progress("running the sequence")
        chosen = {ARITHMETIC_PROPERTY: bench.arithmetic} if bench.arithmetic else {}
        compiled = bench.core.compile_model(bench.network, bench.device, chosen)
        save_own_answers(bench.reference, in_sequence(compiled, asked.samples))
    if asked.preprocessing is not None:
        bench.progress("comparing host and graph")
        name = image_input(bench.network, asked.preprocessing)
        images = _some([one[name][0] for one in asked.samples])
        found["image_sizes"] = len({one[name].shape for one in asked.samples})
        if not asked.images_vary:
            found["image_size"] = image_size(images[0], asked.preprocessing)
        found["why_no_graph"] = why_no_graph(
            bench.core, bench.network, asked.preprocessing, images, bench.device
        )
    return found


def _some(images: Sequence[np.ndarray]) -> list[np.ndarray]:
    """A few images to compare, one of each size before others."""
    seen: dict[tuple[int, ...], int] = {}
    again: list[int] = []
    for number, image in enumerate(images):
        if seen.setdefault(image.shape, number) != number:
            again.append(number)
    return [images[number] for number in [*seen.values(), *again][:_MOST_IMAGES]]


def _fed_of(asked: WorkloadData) -> int:
    """How many samples are fed in turn: of one shape, as the model takes them, so many will do."""
    is_plain = asked.mix is None and asked.preprocessing is None and asked.states is None
    return min(len(asked.samples), MOST_OF_ONE_SHAPE) if is_plain else len(asked.samples)


def _mixed(bench: WorkloadBench) -> dict[str, Any]:
    mix = bench.asked.mix
    assert mix is not None  # noqa: S101 - for the type checker
    answers, found = look_at_mix(
        MixBench(
            core=bench.core,
            read=lambda: model.load(bench.core, bench.path),
            asked=bench.asked,
            device=bench.device,
            arithmetic=bench.arithmetic,
            progress=bench.progress,
        )
    )
    save_own_answers(bench.reference, answers)
    return {**found, **mix.to_dict()}


def why_one_request(network: ov.Model, asked: WorkloadData | None) -> str | None:
    """Why there is one request at a time, of one item; None where there may be several."""
    names = [one.get_info().variable_id for one in network.get_variables()]
    if not names:
        return None
    listed = ", ".join(names[:3]) + (f" and {len(names) - 3} more" if len(names) > 3 else "")
    kept = f"the model keeps {listed} from one request to the next"
    if asked is None or asked.states is None:
        return f"{kept}; say [workload] states"
    if asked.states is States.CARRIED:
        return f"{kept}, and each request needs what the one before it left"
    return f"{kept}, and each item begins with it reset"


def unsaid_ids(rows: dict[str, int], asked: WorkloadData | None) -> dict[str, int]:
    """Of inputs that are looked up in a table, those whose ids are made and nobody said how.

    Of two rows any data will do.

    Args:
        rows: by input, of its table.
        asked: the workload, of random data.
    """
    said = () if asked is None else asked.ranged
    is_said = set(said) >= {""} and len(rows) == 1
    return {n: count for n, count in rows.items() if count > _ANY and n not in said and not is_said}
