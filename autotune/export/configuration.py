"""The configuration in a best.json: what autotune never writes is refused before it is run."""

from dataclasses import replace

from autotune.errors import UsageError
from autotune.export.best_file import BestFile
from autotune.space.configuration import Configuration


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
    found = Configuration.from_properties(
        best.device, best.properties, batch_size=best.batch_size, **best.beside
    )
    optimal = best.effective.get("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    if found.is_hint and optimal in {None, str(best.num_requests)}:
        return found
    return replace(found, num_requests=best.num_requests)
