"""`frame`: every measurement of a study as a table in a file."""

import sys
from pathlib import Path

from rich.console import Console

from autotune.analysis.frames import frame, to_csv, to_parquet
from autotune.cli.output import STDOUT, csv_to, must_end_with, say
from autotune.cli.questions import opened
from autotune.export.files import write_bytes_atomically


def show_frame(folder: Path, csv: Path | None, parquet: Path | None) -> None:
    """Write the table as CSV or Parquet; as CSV to the output where no file is named."""
    _, store = opened(folder)
    table = frame(store)
    if parquet is None and (csv is None or str(csv) == STDOUT):
        sys.stdout.write(to_csv(table))
        return
    console = Console()
    if parquet is not None:
        must_end_with("--parquet", parquet, ".parquet")
        write_bytes_atomically(parquet, to_parquet(table))
        say(console, f"wrote {parquet}: {len(table)} measurements")
    if csv is not None:
        csv_to(csv, to_csv(table))
        say(console, f"wrote {csv}: {len(table)} measurements")
