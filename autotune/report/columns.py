"""The columns of the tables that people read, each described once: terminal, page and docs.

A frame's columns, for programs, are `analysis.frames.COLUMNS`.
"""

from dataclasses import dataclass

from autotune.space import dimensions


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """What stands above a column, and what it holds."""

    name: str
    holds: str
    """In words, with the unit."""
    narrow: str = ""
    """The heading in a terminal, where that is another."""
    is_number: bool = False
    """Aligned to the right."""

    @property
    def heading(self) -> str:
        """For a terminal."""
        return self.narrow or self.name


TRIAL = Column(name="trial", narrow="#", holds="number of the trial", is_number=True)
CONFIGURATION = Column(name="configuration", holds="what was measured, in words")
STREAMS = Column(
    name="streams x threads",
    narrow="streams\nx threads",
    holds="streams x threads of each, or the hint; with the device where there are several",
)
REQUESTS = Column(
    name=dimensions.REQUESTS.label,
    narrow="req",
    holds=f"{dimensions.REQUESTS.holds}; sync where the loop waits for each",
    is_number=True,
)
BATCH = Column(name=dimensions.BATCH.label, holds=dimensions.BATCH.holds, is_number=True)
PRECISION = Column(
    name=dimensions.ARITHMETIC.label,
    narrow="preci-\nsion",
    holds="as requested, else as the runtime chose",
)
PADDING = Column(
    name="padding",
    narrow="pad-\nding",
    holds="what is computed beyond the items, where shapes are mixed, over what they are: 25 % is "
    "a quarter more, which no throughput counts",
    is_number=True,
)
PREPARATION = Column(
    name="preparation",
    holds="to prepare the inputs of a request, the mean, where that is a part of its latency",
    is_number=True,
)
LOSS = Column(
    name="accuracy loss",
    narrow="loss",
    holds="what the accuracy loses against the model as it was given, as seen on the held-out "
    "samples, where a guard looks at answers; below 0 it gains",
    is_number=True,
)
THROUGHPUT = Column(
    name="throughput",
    narrow="through-\nput",
    holds="mean items (not requests) per second",
    is_number=True,
)
AT_LEAST = Column(
    name="at least (95 %)",
    holds="lower end of the throughput's 95 % interval, in items per second",
    is_number=True,
)
LATENCY = Column(
    name="latency",
    holds="request latency at the percentile of the goal, which is the heading where it is fixed",
    is_number=True,
)
SLA = Column(
    name="SLA",
    holds="verdict: met, missed or unclear; nothing without a cap. With limits beside it that of "
    "all together, and the name of the one that is missed or unclear",
)
GAIN = Column(
    name="gain",
    narrow="vs\nhint",
    holds="times the better hint, in what the goal asks for",
    is_number=True,
)
BETTER_HINT = Column(name="the better hint", holds="its throughput, in items per second")
SEEN = Column(name="requests seen", holds="requests that were measured and counted", is_number=True)
CPU_TIME = Column(
    name="CPU per item",
    holds="CPU time of all threads for each item, without the load loop's",
    is_number=True,
)
MEMORY = Column(
    name="memory",
    holds="most resident memory of the worker, runtime included, until the first answer or under "
    "load; of an older version also while its answers were proven",
    is_number=True,
)
ORIGIN = Column(name="origin", holds="seed, warm, sampled or sweep")
REMARKS = Column(name="remarks", holds="why it failed, or the reasons to doubt it")
STUDY = Column(name="study", holds="name of the study")

ON_THE_PAGE = {
    "trial": TRIAL,
    "configuration": CONFIGURATION,
    "rate": THROUGHPUT,
    "low": AT_LEAST,
    "latency": LATENCY,
    "verdict": SLA,
    "seen": SEEN,
    "padding": PADDING,
    "preparation": PREPARATION,
    "cpu": CPU_TIME,
    "memory": MEMORY,
    "origin": ORIGIN,
    "remarks": REMARKS,
}
"""The page's table of all trials, by the names of its cells in page.js; without those of padding
and preparation where there is none."""
TERMINAL = (
    TRIAL,
    STREAMS,
    REQUESTS,
    BATCH,
    PRECISION,
    PADDING,
    LOSS,
    THROUGHPUT,
    LATENCY,
    SLA,
    GAIN,
)
"""The terminal's tables of trials; without padding where shapes are not mixed, and without a loss
where nobody looks at answers."""
COMPARED = (STUDY, CONFIGURATION, THROUGHPUT, LATENCY, SLA, BETTER_HINT, GAIN)
"""The best of each study, on the page of several."""
ALL = tuple(dict.fromkeys((*TERMINAL, *ON_THE_PAGE.values(), *COMPARED)))
