"""`inspect`: what a worker sees of a model."""

from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from autotune.cli.output import print_json
from autotune.cli.shapes import example
from autotune.domain.model_file import fault_of, located
from autotune.errors import ModelError
from autotune.machines.passing import look


def show_model(model: Path, *, as_json: bool) -> None:
    """Inputs and outputs of a model."""
    path = located(model)
    fault = fault_of(path)
    if fault is not None:
        raise ModelError(fault)
    looked = look(path)
    if as_json:
        kinds = {"inputs": looked.inputs, "outputs": looked.outputs}
        print_json({kind: [asdict(port) for port in ports] for kind, ports in kinds.items()})
        return
    table = Table("", "name", "shape", "type", box=box.SIMPLE_HEAD)
    for kind, ports in (("input", looked.inputs), ("output", looked.outputs)):
        for port in ports:
            table.add_row(kind, port.name, port.shape, port.type)
    console = Console()
    console.print(table)
    shapes = example(looked.inputs)
    if shapes is not None:
        console.print(
            f'dynamic dimensions need --shape, for instance --shape "{shapes}"',
            highlight=False,
            markup=False,
            soft_wrap=True,
        )
