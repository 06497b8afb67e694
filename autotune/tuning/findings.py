"""What inspection found that bears on every number of a study, in words."""

from collections.abc import Sequence

from autotune.domain.doubts import Doubts
from autotune.domain.fed import Fed
from autotune.domain.inspection import Inspection
from autotune.search.serving import refused_plans
from autotune.space.dimensions import ARITHMETIC
from autotune.space.rows.workload import SHAPE_PLAN
from autotune.space.space import SearchSpace
from autotune.space.words import several
from autotune.spec import StudySpec
from autotune.storage.reader import OF_VARIANTS
from autotune.tuning.variants import VariantFacts

_MOST_NAMED = 20


def findings(
    spec: StudySpec,
    facts: Inspection,
    choices: SearchSpace,
    items: int,
    variants: VariantFacts | None = None,
) -> list[tuple[str, str]]:
    """What inspection found that bears on every number: the kind of each, and a line of text.

    `items` is what a request counts at batch 1.
    """
    found = [("doubt", text) for text in doubts(spec, facts, choices)]
    doubt = None if spec.model.items is not None else _doubted(facts, items)
    if doubt is not None:
        found.append(("items", doubt))
    if facts.why_no_batch is not None and spec.space.batch is None:
        found.append(("no_batch", f"only batch 1 is tried: {facts.why_no_batch}"))
    misleads = fed(spec, facts).note
    if misleads is not None:
        found.append(("random_inputs", misleads))
    refused = {} if variants is None else variants.refused
    found += [(OF_VARIANTS, f"variant {name} is not tried: {why}") for name, why in refused.items()]
    made = {} if variants is None else variants.made
    found += [
        (OF_VARIANTS, f"variant {name} {given_back_in_words(one.given_back)}")
        for name, one in made.items()
        if one.given_back
    ]
    return [*found, *_of_workload(spec, facts, choices)]


def given_back_in_words(names: Sequence[str]) -> str:
    """``gave 2 operations back: conv1, conv7``; the first of many."""
    listed = ", ".join(names[:_MOST_NAMED])
    more = f" and {len(names) - _MOST_NAMED} more" if len(names) > _MOST_NAMED else ""
    return f"gave {several(len(names), 'operation')} back: {listed}{more}"


def _of_workload(spec: StudySpec, facts: Inspection, choices: SearchSpace) -> list[tuple[str, str]]:
    """What was skipped or guessed of the samples, and what is not tried."""
    asked = facts.workload
    if asked is None:
        if facts.why_one_request is not None:
            return [("states", f"only one request of one item is tried: {facts.why_one_request}")]
        return []
    found = [("inputs", note) for note in asked.notes]
    several = max(choices.choices["streams"]) * max(choices.choices["requests_per_stream"])
    if asked.samples < several:
        few = (
            f"fewer samples ({asked.samples}) than requests that may be in flight ({several}): "
            "some are fed with the same"
        )
        found.append(("inputs", few))
    plans = refused_plans(asked, spec.space.choices(SHAPE_PLAN.name))
    found += [("plans", f"{_plans(names)} not tried: {why}") for names, why in plans.items()]
    if asked.why_no_graph is not None:
        found.append(("graph", f"nothing is prepared in the graph: {asked.why_no_graph}"))
    if facts.why_one_request is not None:
        found.append(("states", f"only one request of one item is tried: {facts.why_one_request}"))
    return found


def _plans(names: str) -> str:
    return f"{SHAPE_PLAN.label}s {names} are" if ", " in names else f"{SHAPE_PLAN.label} {names} is"


def _doubted(facts: Inspection, items: int) -> str | None:
    """Why requests may hold other items than are counted."""
    if facts.items_per_request != items:
        return (
            f"throughput goes on counting {items} per request, as it did when the study began; "
            f"inspection finds {facts.items_per_request}"
        )
    first = {shape[0] for shape in facts.static_shapes.values() if shape}
    size = first.pop() if len(first) == 1 else 1
    if items > 1 or size <= 1:
        return None
    return (
        f"a request counts as one item: that its first dimension, {size}, is a batch could not be "
        f"shown; if it is one, say [model] items = {size}"
    )


def fed(spec: StudySpec, facts: Inspection) -> Fed:
    """What requests are fed with, and why that may mislead."""
    asked = facts.workload
    is_random = spec.model.inputs is None if asked is None else asked.is_random
    return Fed(
        data="random" if is_random else "real",
        warnings=tuple(facts.fed_warnings),
        workload=asked,
    )


def doubts(spec: StudySpec, facts: Inspection, choices: SearchSpace) -> list[str]:
    """What could not be shown of the model's answers, each with its consequence and the way out."""
    data = "the data given" if fed(spec, facts).data == "real" else "random data"
    way_out = "; give samples that tell: [model] inputs" if facts.is_deterministic else ""
    # What is known to be wrong needs no doubt.
    has_batch = facts.why_no_batch is None and facts.why_one_request is None
    unproven = facts.unproven_batch if has_batch else None
    found = []
    if not facts.is_deterministic:
        found.append(
            "the model's answers differ from run to run: only their shapes are compared, and what "
            "[space] batch asks for is measured, and never certified"
        )
    elif unproven is not None and choices.choices["batch"] == (1,):
        found.append(
            "batch stays 1: that a batch gives the answers of single requests could not be shown "
            f"on {data}, as {unproven}{way_out}"
        )
    elif unproven is not None:
        found.append(
            f"batch is unproven on {data}, as {unproven}: what has one is measured, and never "
            f"certified{way_out}"
        )
    return found + [
        f"{ARITHMETIC.label} {name} is unproven on {data}, as {why}: what has it is measured, and "
        f"never certified{way_out}"
        for name, why in facts.untrusted.items()
        if name in choices.choices[ARITHMETIC.name]
    ]


def unproven(facts: Inspection) -> Doubts:
    """What was measured before this inspection, and could not be proven by it."""
    doubted = {device: known for device, known in facts.unproven_precisions.items() if known}
    return Doubts(batch=facts.unproven_batch, precisions=doubted)
