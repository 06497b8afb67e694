"""What the cells of a recorded surface truly cost beside time: CPU time and memory."""

import math

import numpy as np

from autotune.surfaces.fit import Reals
from autotune.surfaces.surface import RecordedSlice
from autotune.surfaces.truth import RecordedMachine


def cpu_s_per_item(machine: RecordedMachine) -> Reals:
    """CPU-seconds of every cell for each item, over all its slices; shape (cells,).

    Infinite where it could not be measured or was not recorded. A batch of the model's own counts
    as one item, as in `RecordedMachine.throughputs`.
    """
    found = np.full(len(machine.surface.cells), math.inf)
    for position, cell in enumerate(machine.surface.cells):
        taken = _slices_of(machine, position)
        costs = [one.cpu_s for one in taken if one.cpu_s is not None]
        if taken and len(costs) == len(taken):
            requests = sum(one.completions for one in taken)
            found[position] = sum(costs) / (cell.batch_size * requests)
    return found


def memory_bytes(machine: RecordedMachine) -> Reals:
    """Resident memory that every cell needs, to open it and under load; shape (cells,).

    The highest mark of any launch; infinite where it could not be measured or was not recorded.
    """
    found = np.full(len(machine.surface.cells), math.inf)
    for position, cell in enumerate(machine.surface.cells):
        launches = machine.launches.get(cell.compile_key, [])
        opened = [one.opening for one in launches if one.opening is not None]
        taken = _slices_of(machine, position)
        peaks = [opening.peak_rss_bytes for opening in opened]
        peaks += [one.peak_rss_bytes for one in taken]
        known = [peak for peak in peaks if peak is not None]
        if taken and len(known) == len(peaks):
            found[position] = max(known)
    return found


def _slices_of(machine: RecordedMachine, cell: int) -> list[RecordedSlice]:
    """All of a cell, of every launch."""
    launches = machine.launches.get(machine.surface.cells[cell].compile_key, [])
    return [taken for one in launches for taken in machine.slices.get((cell, one.launch), [])]
