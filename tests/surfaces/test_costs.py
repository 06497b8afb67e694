"""What recorded cells truly cost, and that replays say it."""

import math
from dataclasses import replace
from itertools import islice
from typing import Any

import numpy as np
import pytest

from autotune.surfaces.costs import cpu_s_per_item, memory_bytes
from autotune.surfaces.runner import RecordedRunner
from autotune.surfaces.surface import Surface
from autotune.testing import SimulatedRunner
from tests.surfaces.recorded import CPU, load_for, machine_of, noisy, quiet


def without_costs(surface: Surface) -> Surface:
    """As an older version recorded it."""
    none: dict[str, Any] = {"cpu_s": None, "rss_bytes": None, "peak_rss_bytes": None}
    launches = [
        replace(launch, slices=tuple(replace(taken, **none) for taken in launch.slices))
        for launch in surface.launches
    ]
    return replace(surface, launches=tuple(launches))


def test_the_true_cost_is_that_of_the_machine() -> None:
    """Of every cell, for each item of a batch; memory is the larger mark of both phases."""
    machine, runner = machine_of(quiet()), SimulatedRunner(cpu=CPU)
    costs, memory = cpu_s_per_item(machine), memory_bytes(machine)
    for position, cell in enumerate(machine.surface.cells):
        effective = CPU.effective(cell.compile_key)
        requests = machine.effective_requests(position)
        assert costs[position] == pytest.approx(runner.predict(cell).cpu_s_per_item)
        opened = CPU.rss_bytes(effective, cell.batch_size, 1) + CPU.compile_rss_bytes
        assert memory[position] == max(opened, CPU.rss_bytes(effective, cell.batch_size, requests))


def test_a_replay_costs_what_was_recorded() -> None:
    """CPU time for each request, the resident memory and its mark."""
    machine = machine_of(noisy())
    runner, costs = RecordedRunner(recorded=machine), cpu_s_per_item(machine)
    for position in (0, 7, 14):
        cell = machine.surface.cells[position]
        model = runner.open(cell.compile_key)
        blocks = list(islice(model.load(load_for(runner, position)), 40))
        spent = sum(block.work_cpu_s or 0.0 for block in blocks)
        items = cell.batch_size * sum(block.completions for block in blocks)
        assert spent / items == pytest.approx(costs[position], rel=0.1)
        requests = machine.effective_requests(position)
        rss = CPU.rss_bytes(model.opening.effective, cell.batch_size, requests)
        assert {block.rss_bytes for block in blocks} == {rss}
        model.close()


def test_the_mark_of_a_load_is_known_at_its_end() -> None:
    """As a worker says it when it has stopped."""
    machine = machine_of(quiet())
    runner = RecordedRunner(recorded=machine)
    model = runner.open(machine.surface.cells[0].compile_key)
    blocks = model.load(load_for(runner, 0))
    block = next(blocks)
    assert model.load_peak_rss_bytes is None
    blocks.close()
    assert model.load_peak_rss_bytes == block.rss_bytes


def test_an_older_recording_says_that_it_does_not_know() -> None:
    """Nothing is made up of the CPUs that there were."""
    machine = machine_of(without_costs(quiet()))
    assert np.isinf(cpu_s_per_item(machine)).all()
    assert np.isinf(memory_bytes(machine)).all()
    runner = RecordedRunner(recorded=machine)
    model = runner.open(machine.surface.cells[0].compile_key)
    (block,) = islice(model.load(load_for(runner, 0)), 1)
    assert (block.process_cpu_s, block.work_cpu_s, block.rss_bytes) == (None, None, None)
    assert math.isinf(memory_bytes(machine)[0])
