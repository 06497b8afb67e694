"""`make bench [ARGS="help storage"]`: the project's ratios, on this machine, as a table and JSON.

Each figure is a ratio or a cost within one run; nothing here is asserted by the tests. Run it with
nothing else running. `hold` takes three quarters of an hour, `sla` and `aa` ten minutes each.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path

from tests.bench import (
    agreement,
    claims,
    core_budget,
    cost,
    cpu_time,
    drift,
    exports,
    feeding,
    gain,
    limits,
    live,
    mixes,
    races,
    readback,
    record,
    served,
    soak,
    startup,
    trust,
    viewers,
)
from tests.bench.figure import Figure

RESULTS = Path("build") / "bench.json"

BENCHES: dict[str, Callable[[], list[Figure]]] = {
    "help": startup.run,
    "storage": cost.storage,
    "space": cost.large_space,
    "overhead": cost.overhead,
    "agreement": agreement.run,
    "exports": exports.run,
    "buckets": mixes.buckets,
    "routing": mixes.routing,
    "feeding": feeding.run,
    "cpu_time": cpu_time.run,
    "viewers": viewers.run,
    "gain": gain.run,
    "evalues": trust.e_values,
    "bounds": trust.bounds,
    "claims": claims.run,
    "twins": trust.twins,
    "curse": trust.curse,
    "sla": trust.sla,
    "drift": drift.run,
    "idle": races.idle,
    "interleaving": races.interleaving,
    "aa": races.aa,
    "hold": races.hold,
}
ONLY_BY_NAME = {
    "core-budget": core_budget.run,
    "efficiency": limits.efficiency,
    "growth": cost.growth,
    "live": live.run,
    "memory-limit": limits.memory,
    "read-back": readback.run,
    "record": record.run,
    "served": served.run,
    "soak": soak.run,
    "soak-real": soak.real,
    "soak-simulated": soak.simulated,
}
"""Long ones, and what makes data rather than figures."""


def main() -> int:
    """Run the benches that were named, or all."""
    known = {**BENCHES, **ONLY_BY_NAME}
    names = sys.argv[1:] or list(BENCHES)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"no such bench: {unknown[0]}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    figures = []
    for name in names:
        print(f"{name} …", flush=True)
        for figure in known[name]():
            figures.append(figure)
            print(f"  {figure}", flush=True)
    RESULTS.parent.mkdir(exist_ok=True)
    RESULTS.write_text(json.dumps([figure.to_dict() for figure in figures], indent=2) + "\n")
    print(f"wrote {RESULTS}")
    return 0


sys.exit(main())
