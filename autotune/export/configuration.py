"""The configuration in a best.json: what autotune never writes is refused before it is run."""

from dataclasses import replace

from autotune.errors import UsageError
from autotune.export.best_file import BestFile
from autotune.space.configuration import Configuration
from autotune.space.devices import is_meta, set_always
from autotune.space.dimensions import ON_MEMBERS
from autotune.space.directed import NESTED


def configuration_of(best: BestFile, name: object) -> Configuration:
    """The configuration in a best.json.

    Raises:
        UsageError: a property, or a value, that autotune never sets: the file was edited.
    """
    try:
        found = _from_properties(best)
    except (KeyError, ValueError) as error:
        raise UsageError(f"{name}: properties: {error} is not what autotune writes") from None
    wanted = _as_then(found.properties, best)
    if wanted != best.properties:
        differing = sorted(set(best.properties.items()) ^ set(wanted.items()))
        listed = ", ".join(sorted({key for key, _ in differing}))
        raise UsageError(
            f"{name}: properties: {listed}: not what autotune writes; restore the file"
        )
    return found


def _as_then(properties: dict[str, str], best: BestFile) -> dict[str, str]:
    """Without what is set on a device that stands for others, in a file of before it was set."""
    if not is_meta(best.device):
        return properties
    since = {*set_always(best.device), *([] if best.beside[ON_MEMBERS.column] else [NESTED])}
    return {k: v for k, v in properties.items() if k in best.properties or k not in since}


def _from_properties(best: BestFile) -> Configuration:
    found = Configuration.from_properties(
        best.device, best.properties, batch_size=best.batch_size, **best.beside
    )
    optimal = best.effective.get("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
    if found.is_hint and optimal in {None, str(best.num_requests)}:
        return found
    return replace(found, num_requests=best.num_requests)
