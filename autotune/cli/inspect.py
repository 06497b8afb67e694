"""`inspect` and `devices`: what a worker sees of a model and the machine."""

from dataclasses import asdict
from pathlib import Path

from rich import box
from rich.console import Console
from rich.table import Table

from autotune.cli.output import print_json
from autotune.cli.shapes import example
from autotune.domain.model_file import fault_of, located
from autotune.errors import ModelError
from autotune.host.cpus import cpus
from autotune.machines.passing import look


def show_devices(*, as_json: bool) -> None:
    """Devices, their names and capabilities."""
    looked = look(None)
    if as_json:
        print_json({name: asdict(device) for name, device in looked.devices.items()})
        return
    table = Table("device", "name", "computes natively", "streams", box=box.SIMPLE_HEAD)
    for name, device in looked.devices.items():
        streams = "-" if device.streams is None else "-".join(str(n) for n in device.streams)
        table.add_row(name, device.name, " ".join(device.capabilities), streams)
    console = Console()
    console.print(table)
    found = cpus()
    limited = found.quota_cpus is not None and found.quota_cpus < found.affinity
    quota = f" (a quota of {found.quota_cpus:g})" if limited else ""
    said = f"OpenVINO {looked.openvino}; {found.usable} CPUs may be used{quota}"
    console.print(said, highlight=False)


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
