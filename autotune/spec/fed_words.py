"""What requests were fed with, in one line: a number is a number of that data."""

from pathlib import PurePath

from autotune.domain.fed import Fed
from autotune.domain.measurement import Feed
from autotune.domain.workload_facts import WorkloadFacts
from autotune.space.words import several
from autotune.spec.study import StudySpec
from autotune.spec.workload import WorkloadSpec
from autotune.workload.costs import in_words, volume
from autotune.workload.mix import mix_of
from autotune.workload.words import shown

_STATES = {
    "reset": "states reset before each item",
    "carried": "states carried from one request to the next",
}


def fed_in_words(spec: StudySpec, fed: Fed | None) -> str:
    """Such as "64 lines of words.txt through tokens.py:encode, 31 shapes (8 to 62), bound once".

    Args:
        spec: what the study says.
        fed: what that came to; None in a study of an older version.
    """
    facts = None if fed is None else fed.workload
    names = _names(spec)
    is_random = not names if fed is None else fed.data == "random"
    what = _random(spec.workload, facts) if is_random else _samples(spec.workload, facts, names)
    sizes = "" if facts is None else _sizes(facts)
    is_prepared = facts is not None and facts.is_prepared
    states = None if facts is None or facts.states is None else _STATES.get(facts.states)
    said = f"{what}{sizes}, {feed_in_words(spec.measure.feed, is_prepared=is_prepared)}"
    return said if states is None else f"{said}; {states}"


def fed_of_file(inputs: str | None, feed: Feed) -> str:
    """The same where nothing is known but the name of a file with samples."""
    what = "random data" if inputs is None else f"samples of {_short(inputs)}"
    return f"{what}, {feed_in_words(feed)}"


def feed_in_words(feed: Feed, *, is_prepared: bool = False) -> str:
    """How requests get their inputs."""
    if feed is Feed.BIND:
        return "bound once"
    if feed is Feed.COPY:
        return "copied before each request"
    done = "prepared" if is_prepared else "copied"
    return f"{done} before each request, as a part of its latency"


def _names(spec: StudySpec) -> tuple[str, ...]:
    """The words that name data; none for random data."""
    said = spec.workload.inputs if spec.workload.inputs is not None else spec.model.inputs
    if said is None:
        return ()
    return (said,) if isinstance(said, str) else tuple(said)


def _random(said: WorkloadSpec, facts: WorkloadFacts | None) -> str:
    ranges = set(said.random)
    if facts is None and not ranges:
        return "random data"
    if not ranges:
        return "random data of guessed ranges"
    if "" in ranges or facts is None or set(facts.stand_ins) <= ranges:
        return "random data in ranges"
    return "random data in ranges, some of them guessed"


def _samples(said: WorkloadSpec, facts: WorkloadFacts | None, names: tuple[str, ...]) -> str:
    is_text = said.tokenizer is not None
    unit = "picture" if facts is not None and facts.is_prepared else "line" if is_text else "sample"
    count = f"{unit}s" if facts is None else several(facts.samples, unit)
    source = _short(names[0]) if len(names) == 1 else several(len(names), "file")
    through = f" through {_short(said.tokenizer)}" if said.tokenizer is not None else ""
    return f"{count} of {source}{through}"


def _sizes(facts: WorkloadFacts) -> str:
    """In how many shapes or sizes samples come, where there are several."""
    mix = mix_of(facts)
    if mix is not None:
        sizes = sorted(mix.sizes, key=lambda one: (volume(one), one))
        least, most = in_words(sizes[0]), in_words(sizes[-1])
        return f", {several(len(sizes), 'shape')} ({least} to {most})"
    return f", {facts.image_sizes} sizes" if facts.image_sizes > 1 else ""


def _short(word: str) -> str:
    """A file by its name, a folder with the one that it is in, a function with its file."""
    module, colon, function = word.strip().rpartition(":")
    if colon and function.strip().isidentifier():
        return shown(f"{PurePath(module).name}:{function.strip()}")
    path = PurePath(word.strip())
    return shown(path.name if path.suffix else "/".join(path.parts[-2:]))
