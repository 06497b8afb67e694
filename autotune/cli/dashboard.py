"""`dashboard`: optuna-dashboard on a copy of the study."""

import threading
import warnings
import webbrowser
from pathlib import Path
from wsgiref.simple_server import WSGIRequestHandler, make_server

from rich.console import Console

from autotune.cli.output import say
from autotune.cli.questions import opened
from autotune.domain.goal import Objective
from autotune.errors import AutotuneError, UsageError
from autotune.machines.scratch import scratch_folder
from autotune.storage.dashboard_copy import dashboard_copy

_HOST = "127.0.0.1"
_METRICS = {
    Objective.THROUGHPUT: ["throughput_per_s"],
    Objective.LATENCY: ["latency_ms"],
    Objective.PARETO: ["throughput_per_s", "latency_ms"],
    Objective.EFFICIENCY: ["efficiency"],
}


class _Quiet(WSGIRequestHandler):
    """Says nothing about each request."""

    def log_message(self, *_: object) -> None:
        """Nothing."""


def run_dashboard(folder: Path, port: int, *, open_it: bool) -> None:
    """Serve until Ctrl-C; on this machine only.

    Raises:
        UsageError: optuna-dashboard is not installed.
        AutotuneError: the port is taken, or the study cannot be read.
    """
    try:
        with warnings.catch_warnings():  # of what it imports and does not need here
            warnings.simplefilter("ignore")
            from optuna_dashboard import wsgi
    except ImportError:
        message = "this needs optuna-dashboard: pip install 'openvino-autotune[dashboard]'"
        raise UsageError(message) from None
    folder, store = opened(folder)
    metrics = _METRICS[store.identity().goal.objective]
    store.close()
    console = Console()
    with scratch_folder() as temporary:
        storage = dashboard_copy(folder, temporary / "study.db", metrics)
        try:
            server = make_server(_HOST, port, wsgi(storage), handler_class=_Quiet)
        except OSError as error:
            message = f"--port: {port} on {_HOST} cannot be used: {error.strerror}"
            raise AutotuneError(message) from error
        with server:
            address = f"http://{_HOST}:{server.server_port}/dashboard/"
            say(console, f"{address} shows a copy of the study as it is now; Ctrl-C ends it")
            if open_it and not webbrowser.open(address):
                say(console, "no browser was found: open it by hand")
            # In a thread of its own: in the middle of an answer, Ctrl-C would be taken for a fault
            # of that answer.
            serving = threading.Thread(target=server.serve_forever, daemon=True)
            serving.start()
            try:
                serving.join()
            finally:
                server.shutdown()
