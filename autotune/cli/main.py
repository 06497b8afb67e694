"""All commands. What they need is imported when they run, so that --help is instant."""

import sys
from typing import Annotated, NoReturn

import typer

from autotune.cli.commands.deploying import compare, export, verify
from autotune.cli.commands.evidence import best, dashboard, frame, log, pareto, report, status
from autotune.cli.commands.machine import devices, doctor, inspect
from autotune.cli.commands.surfaces import record, replay
from autotune.cli.commands.tuning import tune, variants
from autotune.cli.names import check_names, os_fault
from autotune.cli.streams import OutputError, finish, guard
from autotune.errors import EXIT_ERROR, EXIT_INTERRUPTED, AutotuneError

app = typer.Typer(
    help="Find the OpenVINO settings with the highest throughput under a latency cap.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="markdown",
    context_settings={"help_option_names": ["-h", "--help"]},
)


def main() -> NoReturn:
    """Run a command; the one place where expected errors become a message and an exit code."""
    guard()
    code: str | int | None = 0
    try:
        try:
            app()
        except SystemExit as ended:
            code = ended.code
        finally:
            finish()
    except AutotuneError as error:
        code = error.exit_code
        if not (isinstance(error, OutputError) and error.is_quiet):
            print(f"autotune: {error}", file=sys.stderr)
    except OSError as error:  # a file or folder of somebody else's, most often
        code = EXIT_ERROR
        print(f"autotune: {os_fault(error)}", file=sys.stderr)
    except KeyboardInterrupt:
        code = EXIT_INTERRUPTED
    sys.exit(code)


@app.callback(invoke_without_command=True)
def _options(
    *,
    version: Annotated[bool, typer.Option("--version", help="Print the version.")] = False,
) -> None:
    if version:
        from importlib.metadata import version as installed

        print(f"autotune {installed('openvino-autotune')}")
        raise typer.Exit
    if not {"-h", "--help"} & set(sys.argv):
        check_names(sys.argv[1:])


_COMMANDS = (
    tune,
    variants,
    status,
    log,
    report,
    dashboard,
    pareto,
    frame,
    best,
    verify,
    export,
    compare,
    doctor,
    record,
    replay,
    devices,
    inspect,
)
"""In the order in which --help lists them."""
_WITHOUT_ARGUMENTS = (doctor, devices)
"""Commands that do their work where nothing is given; the others show their help."""

for _command in _COMMANDS:
    app.command(no_args_is_help=_command not in _WITHOUT_ARGUMENTS)(_command)
