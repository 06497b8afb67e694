"""A workload in targets that load one model file and are fed by others: what they lose of it."""

from dataclasses import dataclass, replace

from autotune.export.targets.served import ServedWorkload
from autotune.export.targets.target import (
    Loss,
    Port,
    Tuned,
    UnsupportedError,
    render,
    times_feeding,
)

SAVED, SCRIPT = "prepared.xml", "with_preprocessing.py"


@dataclass(frozen=True, kw_only=True)
class GraphModel:
    """What is deployed of a model with preprocessing in its graph: a file that a script writes."""

    tuned: Tuned
    """With that file, and images in the place of the input that they are prepared for."""
    files: dict[str, str]
    run: tuple[str, ...]


def with_its_graph(tuned: Tuned) -> GraphModel:
    """The model with what was compiled into it; as it is where nothing was."""
    served = tuned.served
    one = None if served is None else served.in_graph
    if served is None or one is None:
        return GraphModel(tuned=tuned, files={}, run=())
    sizes = dict(zip("HW", one.source or (-1, -1), strict=True))
    shape = (tuned.best.batch_size, *(sizes.get(axis, one.channels) for axis in one.how.layout))
    ports = list(tuned.inputs)
    ports[one.at] = Port(ports[one.at].name, shape, one.how.type)
    script = render(
        "with_preprocessing.py.jinja",
        model=tuned.model,
        saved=SAVED,
        p=one,
        shapes=served.forms[0],
    )
    prepared = replace(
        tuned, model=SAVED, weights=(SAVED.replace(".xml", ".bin"),), inputs=tuple(ports)
    )
    return GraphModel(tuned=prepared, files={SCRIPT: script}, run=(f"python {SCRIPT}",))


def check_stateless(target: str, tuned: Tuned) -> None:
    """Refuse a model that keeps something from one request to the next.

    Raises:
        UnsupportedError: it does.
    """
    if tuned.served is not None and tuned.served.states is not None:
        raise UnsupportedError(
            f"{target}: the model keeps something from one request to the next, which was measured "
            f"{tuned.served.states}; requests of several callers would share it"
        )


def check_one_model(target: str, tuned: Tuned) -> None:
    """Refuse several buckets.

    Raises:
        UnsupportedError: there are.
    """
    served = tuned.served
    if served is not None and served.is_routed:
        raise UnsupportedError(
            f"{target}: {len(served.forms)} buckets are {len(served.forms)} models, and something "
            "has to route items to them; python and cpp do, model-server serves them side by side"
        )


def called_by_others(tuned: Tuned) -> list[Loss]:
    """Of a server, which is sent what it is asked."""
    served = tuned.served
    if served is None:
        return []
    return [*_not_prepared(served), *_not_padded(served), *_not_routed(served), *_not_timed(tuned)]


def fed_with_random_data(tuned: Tuned) -> list[Loss]:
    """Of a program that makes tensors of the shapes that were measured, and feeds these."""
    served = tuned.served
    if served is None:
        return []
    found = [*_not_prepared(served), *_not_timed(tuned)]
    if served.plan is not None and served.plan.pads:
        found.append(
            Loss(
                "items that are padded: every request is filled as far as the model's shape goes",
                "the values differ; the shape is what was measured",
            )
        )
    return found


def _not_prepared(served: ServedWorkload) -> list[Loss]:
    if served.on_host is None:
        return []
    return [
        Loss(
            "the preparation of images: it takes tensors that are ready",
            "whoever sends them spends that time, and it was a part of what was measured",
        )
    ]


def _not_padded(served: ServedWorkload) -> list[Loss]:
    if served.plan is None or not served.plan.pads:
        return []
    values = ", ".join(
        f"{value:g} along axis {axis} of {one.name}"
        for one in served.inputs
        for axis, value in one.pads
    )
    return [
        Loss(
            f"padding: callers put it behind an item ({values}) and cut the answer",
            "an item of another shape is refused",
        )
    ]


def _not_routed(served: ServedWorkload) -> list[Loss]:
    if not served.is_routed:
        return []
    return [
        Loss(
            "routing: callers choose the first of the models that an item fits, in the order in "
            "which they are listed; batches are of one model",
            "an item that is sent to a larger one is answered, and costs more",
        ),
        Loss(
            "requests over all models together: each has as many of its own",
            "with all of them busy, more is in flight than was measured",
        ),
    ]


def _not_timed(tuned: Tuned) -> list[Loss]:
    if not times_feeding(tuned):
        return []
    return [
        Loss(
            "latency from the begin of feeding on: it counts the inference alone",
            "what precedes a request comes on top of what it shows",
        )
    ]
