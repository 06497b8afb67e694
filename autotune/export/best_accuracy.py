"""The guard in best.json: which model answers are held to, how, and what was found."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import Field, ValidationError

from autotune.domain.accuracy import Accuracy, GuardVerdict
from autotune.errors import AutotuneError
from autotune.export.section import Count, FileSection, Text
from autotune.spec.variants import AccuracySpec
from autotune.spec.workload import WorkloadSpec
from autotune.workload.guard import Guard
from autotune.workload.locate import seen_from

Signed = Annotated[float, Field(allow_inf_nan=False)]
"""An accuracy, or a loss, which may be a gain."""


class BestReference(FileSection):
    """The model as it was given, where a variant of it is deployed."""

    path: Text = Field(description="Relative to the folder of this file, or absolute.")
    sha256: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")] = Field(
        description="As that of the model."
    )


class BestAccuracy(FileSection):
    """What the guard found."""

    said: dict[Text, Any] = Field(
        description="[accuracy] of the study; paths are relative to the folder of this file."
    )
    metric: Text
    value: Signed | None = Field(description="Of these answers; null where there is no number.")
    reference: Signed | None = Field(
        description="Of the model as it was given: 1 where the two are compared with each other."
    )
    drop: Signed | None = Field(description="What is lost on the held-out samples.")
    drop_low: Signed | None = Field(
        description="Lower end of the 95 % interval of what is lost on all samples like these; "
        "null where nothing bounds it."
    )
    drop_high: Signed | None = Field(description="Upper end.")
    max_drop: Signed = Field(description="What may be lost.")
    samples: Count = Field(description="Held-out samples.")
    verdict: GuardVerdict = Field(
        description="identical: to the bit; met: shown to be within the limit; unclear: within it, "
        "on too few samples to show it."
    )
    needed: Count | None = Field(
        default=None, description="About how many samples would decide; null where it is decided."
    )

    @property
    def spec(self) -> AccuracySpec:
        """What was said, checked.

        Raises:
            AutotuneError: the file was edited.
        """
        try:
            return AccuracySpec.model_validate(self.said)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise AutotuneError(
                f"accuracy.said.{where}: {first['msg']}; restore the file"
            ) from None

    def within(self, folder: Path, workload: WorkloadSpec, inputs: str | None) -> Guard | None:
        """The guard again, its files being looked for from the folder of best.json.

        Raises:
            SourceError: they are not there.
            AutotuneError: the file was edited.
        """
        return self.spec.within(folder, workload, inputs)


def best_accuracy(
    spec: AccuracySpec, found: Accuracy | None, folder: Path, target: Path
) -> BestAccuracy | None:
    """That of a trial; None where there was no guard.

    Args:
        spec: as the study says it.
        found: what the guard found.
        folder: the study's.
        target: that of the file.
    """
    if found is None:
        return None
    drop = found.drop
    return BestAccuracy(
        said=_moved(spec.model_dump(mode="json", exclude_defaults=True), folder, target),
        metric=found.metric,
        value=found.value,
        reference=found.reference,
        drop=None if drop is None else drop.seen,
        drop_low=None if drop is None else finite(drop.low),
        drop_high=None if drop is None else finite(drop.high),
        max_drop=found.max_drop,
        samples=found.samples,
        verdict=found.verdict,
        needed=found.needed,
    )


def finite(value: float) -> float | None:
    """None for what bounds nothing."""
    return value if abs(value) < float("inf") else None


def _moved(said: dict[str, Any], folder: Path, target: Path) -> dict[str, Any]:
    """With paths as they are seen from another folder."""
    found = dict(said)
    for key in ("inputs", "labels", "metric"):
        value = said.get(key)
        if value is None or folder == target or (key == "metric" and ":" not in value):
            continue
        is_list = isinstance(value, list)
        found[key] = (
            [seen_from(one, folder, target) for one in value]
            if is_list
            else seen_from(value, folder, target)
        )
    return found
