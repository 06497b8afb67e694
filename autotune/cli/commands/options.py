"""Options that several commands have, and the ways to describe one."""

from functools import partial
from pathlib import Path
from typing import Annotated

import typer

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
OpenIt = Annotated[bool, typer.Option("--open", help="Open it in a browser.")]
