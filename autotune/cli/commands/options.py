"""Options that several commands have, and the ways to describe one."""

import inspect
from collections.abc import Callable
from functools import partial, wraps
from pathlib import Path
from typing import Annotated, Any

import typer

from autotune.domain.limits import TABLE, LimitRow

# Of paths: typer would refuse what cannot be read in words of its own, on several lines.
path_argument = partial(typer.Argument, readable=False)
path_option = partial(typer.Option, readable=False)

StudyFolder = Annotated[
    Path, path_argument(metavar="STUDY", help="Folder of a study, such as studies/classifier.")
]
Json = Annotated[bool, typer.Option("--json", help="Print JSON.")]
MaxLatency = Annotated[
    str | None,
    typer.Option("--max-latency", metavar="TIME", help="Cap on request latency: 20ms, 800us, 1s."),
]
Percentile = Annotated[
    float | None,
    typer.Option(metavar="P", help="Percentile that the cap is on.", show_default="99"),
]
Headroom = Annotated[
    str | None,
    typer.Option(
        metavar="SHARE",
        help="How much slower the machine may become before the cap is at risk: 15%.",
    ),
]
MaxDrop = Annotated[
    str | None,
    typer.Option(
        "--max-drop",
        metavar="LOSS",
        help="Only what was shown to lose no more accuracy: 0.005, or 1% of the reference's.",
        show_default="what the study's guard let through",
    ),
]
Wait = Annotated[
    str | None,
    typer.Option(
        "--wait",
        metavar="TIME",
        help="Wait so long while another process tunes or measures: 2h.",
        show_default="not at all",
    ),
]
Cpus = Annotated[
    str | None,
    typer.Option(
        "--cpus",
        metavar="N|LIST",
        help="Core budget: measure on so many CPUs (6), or on these (0-5; 1-1; 0,2), and leave the "
        "rest to others.",
        show_default="all that may be used",
    ),
]
TheirCpus = Annotated[
    str | None,
    typer.Option(
        "--cpus",
        metavar="N|LIST",
        help="Another core budget: so many CPUs (6), or these (0-5; 1-1; 0,2).",
        show_default="that of the file or study",
    ),
]
MovedModel = Annotated[
    Path | None, path_option("--model", metavar="FILE", help="The model file, if it was moved.")
]
ItsShape = Annotated[
    str | None, typer.Option("--shape", metavar="SHAPE", help='Its input shapes: "x:1,3,48,192".')
]
TrustInputs = Annotated[
    bool,
    typer.Option("--trust", help="Run the code of inputs that another user or machine wrote."),
]
OpenIt = Annotated[bool, typer.Option("--open", help="Open it in a browser.")]
Portable = Annotated[
    bool,
    typer.Option(
        "--portable",
        help="Among equals, prefer what holds elsewhere: a hint, then fewer explicit settings.",
    ),
]
LIMITS = "limits"
"""The parameter by which a command gets its limits."""


def with_limits(command: Callable[..., None]) -> Callable[..., None]:
    """A command with an option for each row of the table of limits.

    It gets their texts by name, None where they were not given, as its parameter `limits`.
    """
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.name != LIMITS]
    options = [
        inspect.Parameter(
            row.name, inspect.Parameter.KEYWORD_ONLY, default=None, annotation=_option_of(row)
        )
        for row in TABLE
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        limits = {row.name: given.pop(row.name) for row in TABLE}
        command(**given, limits=limits)

    parameters = [*own, *options]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


WORKLOAD = "workload"
"""The parameter by which a command gets its workload."""
_PANEL = "Workload"
_WORKLOAD_OPTIONS: dict[str, tuple[Any, str, str]] = {
    "inputs": (
        list[str] | None,
        "PATH",
        (
            "What to feed: .npz, .npy, a folder of pictures or .wav files, a file of text lines "
            "(with --tokenizer), or file.py:function; may be repeated for files of several shapes."
        ),
    ),
    "tokenizer": (str | None, "FILE:FUNC", "Called with each line of text; gives its arrays."),
    "random": (
        str | None,
        "RANGES",
        "Ranges of random data: ids=0:30000;mask=1.",
    ),
    "mix": (
        list[str] | None,
        "SHAPE=WEIGHT",
        "A shape of a mix, and how often it comes: 1,3,48,80=3; to be repeated.",
    ),
    "pad": (str | None, "VALUE@AXIS", "Padding that changes no answer: 0@3; ids:0@1;mask:0@1."),
    "states": (str | None, "NAME", "What becomes of the model's states: reset or carried."),
    "feed": (
        str | None,
        "NAME",
        "bind inputs once, copy them before each request, or prepare them end-to-end.",
    ),
}
"""By option: its type, how its value is called, and what it is."""


def with_workload(command: Callable[..., None]) -> Callable[..., None]:
    """A command with the options of a workload; it gets them by name as `workload`."""
    signature = inspect.signature(command)
    own = [one for one in signature.parameters.values() if one.name != WORKLOAD]
    options = [
        inspect.Parameter(
            name,
            inspect.Parameter.KEYWORD_ONLY,
            default=None,
            annotation=Annotated[
                kind,
                typer.Option(f"--{name}", metavar=metavar, help=told, rich_help_panel=_PANEL),
            ],
        )
        for name, (kind, metavar, told) in _WORKLOAD_OPTIONS.items()
    ]

    @wraps(command)
    def run(**given: Any) -> None:
        workload = {name: given.pop(name) for name in _WORKLOAD_OPTIONS}
        command(**given, workload=workload)

    parameters = [*own, *options]
    run.__signature__ = signature.replace(parameters=parameters)  # type: ignore[attr-defined]
    run.__annotations__ = {one.name: one.annotation for one in parameters}
    return run


def _option_of(row: LimitRow) -> Any:
    shown = row.examples.replace('"', "")
    return Annotated[
        str | None,
        typer.Option(
            row.option,
            metavar=row.metavar,
            help=f"{row.meaning}: {shown}.",
            rich_help_panel="Limits",
        ),
    ]
