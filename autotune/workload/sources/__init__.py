"""Reading the user's own inputs, each source in a module of its own."""

import contextlib
from collections.abc import Generator, Sequence

from autotune.errors import SourceError
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import Inputs, Source
from autotune.workload.ports import PortFacts
from autotune.workload.preprocessing import Color
from autotune.workload.sources import arrays, function, pictures, sounds, text
from autotune.workload.sources.found import Found

_MOST_BYTES = 2**30
"""Of all samples together: every process that runs the model holds them."""


def read(inputs: Inputs, ports: Sequence[PortFacts], color: Color = Color.RGB) -> Gathered:
    """The samples, at most `inputs.most` of them.

    Args:
        inputs: what to read; a function of the user's runs in this process.
        ports: the model's inputs.
        color: order of the channels in which pictures of a folder are given.

    Raises:
        SourceError: nothing can be read, or it has other inputs than the model; the message is one
            line and names file, sample and input. The traceback of a function goes to stderr.
    """
    notes: list[str] = []
    samples, names, size = [], [], 0
    with contextlib.closing(_reading(inputs, ports, color, notes)) as reading:
        for name, sample in reading:
            names.append(name)
            samples.append(sample)
            size += sum(values.nbytes for values in sample.values())
            if len(samples) == inputs.most:
                break
            if size > _MOST_BYTES:
                notes.append(
                    f"only the first {len(samples)} samples are used: they take {size >> 20:,} MiB"
                )
                break
    if not samples:  # a source that can say more than this has said it
        raise SourceError(f"the {inputs.source} have no samples")
    return Gathered(samples=samples, names=names, notes=notes)


def _reading(
    inputs: Inputs, ports: Sequence[PortFacts], color: Color, notes: list[str]
) -> Generator[Found]:
    match inputs.source:
        case Source.ARRAYS:
            return arrays.samples(inputs, ports, notes)
        case Source.IMAGES:
            return pictures.samples(inputs, ports, notes, color)
        case Source.SOUNDS:
            return sounds.samples(inputs, ports, notes)
        case Source.TEXT:
            return text.samples(inputs, ports, notes)
        case Source.FUNCTION:
            return function.samples(inputs, ports, notes)
