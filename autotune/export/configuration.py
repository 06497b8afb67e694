"""The configuration in a best.json: what autotune never writes is refused before it is run."""

from autotune.errors import UsageError
from autotune.export.best_file import BestFile
from autotune.space.configuration import Configuration
from autotune.space.dimensions import PerformanceHint


def configuration_of(best: BestFile, name: object) -> Configuration:
    """The configuration in a best.json.

    Raises:
        UsageError: a property, or a value, that autotune never sets: the file was edited.
    """
    try:
        found = _from_properties(best)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{name}: properties: {error} is not what autotune writes") from None
    if found.properties != best.properties:
        differing = sorted(set(best.properties.items()) ^ set(found.properties.items()))
        listed = ", ".join(sorted({key for key, _ in differing}))
        raise UsageError(
            f"{name}: properties: {listed}: not what autotune writes; restore the file"
        )
    return found


def _from_properties(best: BestFile) -> Configuration:
    values = best.properties
    streams = int(values["NUM_STREAMS"]) if "NUM_STREAMS" in values else None
    threads = values.get("INFERENCE_NUM_THREADS")
    pinning = values.get("ENABLE_CPU_PINNING")
    optimal = best.effective.get("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    is_hint = streams is None and best.batch_size == 1 and optimal in {None, str(best.num_requests)}
    return Configuration(
        device=best.device,
        hint=PerformanceHint(values["PERFORMANCE_HINT"]),
        streams=streams,
        threads_per_stream=int(threads) // streams if threads and streams else None,
        pinning=None if pinning is None else pinning == "YES",
        precision=values.get("INFERENCE_PRECISION_HINT"),
        batch_size=best.batch_size,
        num_requests=None if is_hint else best.num_requests,
        api=best.api,
    )
