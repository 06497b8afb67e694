"""The workload in best.json: what was said of it, and what that came to."""

from pathlib import Path
from typing import Any

from pydantic import Field, ValidationError

from autotune.domain.fed import Fed
from autotune.domain.workload_facts import WorkloadFacts
from autotune.errors import AutotuneError
from autotune.export.section import Count, FileSection, Finite, Text
from autotune.spec.workload import WorkloadSpec
from autotune.workload.locate import seen_from
from autotune.workload.workload import Workload


class BestWorkload(FileSection):
    """What the model was asked."""

    said: dict[Text, Any] = Field(
        description="[workload] of the study; paths are relative to the folder of this file."
    )
    inputs_sha256: Text | None = Field(
        default=None, description="Of all that decides the samples; null for random data."
    )
    samples: Count = Field(description="Distinct samples that were fed in turn.")
    shapes: list[dict[Text, list[Count]]] = Field(
        default=[], description="Of a mix: shapes by input, of one item. Empty for one shape."
    )
    weights: list[Finite] = Field(default=[], description="Of these; their sum is 1.")
    pads: dict[Text, list[tuple[float, Count]]] = Field(
        default={},
        description="By input: values that may be put behind an item, and their axes.",
    )
    image_size: tuple[Count, Count] | None = Field(
        default=None,
        description="Height and width of every image; null where they vary or there are none.",
    )
    states: Text | None = Field(
        default=None, description="reset or carried, of what the model keeps between requests."
    )

    @property
    def spec(self) -> WorkloadSpec:
        """What was said, checked.

        Raises:
            AutotuneError: the file was edited.
        """
        try:
            return WorkloadSpec.model_validate(self.said)
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(map(str, first["loc"]))
            raise AutotuneError(
                f"workload.said.{where}: {first['msg']}; restore the file"
            ) from None

    def within(self, folder: Path) -> Workload | None:
        """The workload again, its files being looked for from the folder of best.json.

        Raises:
            SourceError: they are not there.
            AutotuneError: the file was edited.
        """
        return self.spec.within(folder)


def best_workload(
    spec: WorkloadSpec, fed: Fed, inputs_sha256: str | None, folder: Path, target: Path
) -> BestWorkload | None:
    """That of a study; None where nothing was said.

    Args:
        spec: as the study says it.
        fed: what it came to.
        inputs_sha256: of the samples.
        folder: the study's.
        target: that of the file.
    """
    if not spec.is_said or fed.workload is None:
        return None
    facts: WorkloadFacts = fed.workload
    return BestWorkload(
        said=_moved(spec.model_dump(mode="json", exclude_defaults=True), folder, target),
        inputs_sha256=inputs_sha256,
        samples=facts.samples,
        shapes=[{name: list(shape) for name, shape in one.items()} for one in facts.shapes],
        weights=list(facts.weights),
        pads={name: list(pads) for name, pads in facts.pads.items()},
        image_size=facts.image_size,
        states=facts.states,
    )


def _moved(said: dict[str, Any], folder: Path, target: Path) -> dict[str, Any]:
    """With paths as they are seen from another folder."""
    if folder == target:
        return said
    found = dict(said)
    for key in ("inputs", "tokenizer"):
        if isinstance(said.get(key), list):
            found[key] = [seen_from(one, folder, target) for one in said[key]]
        elif said.get(key) is not None:
            found[key] = seen_from(said[key], folder, target)
    return found
