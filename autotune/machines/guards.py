"""The guard of a study: each way to answer is held to the model as it was given, once."""

from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from autotune.domain.accuracy import Accuracy, GuardVerdict
from autotune.domain.failure import Failure, FailureKind, TrialFault
from autotune.domain.measurement import Opening
from autotune.domain.paths import absolute
from autotune.errors import InputCodeError, ModelError
from autotune.machines.conversation import ask, await_ready, expected, killed_on_error
from autotune.machines.deadlines import Deadlines
from autotune.machines.process import WorkerProcess
from autotune.machines.protocol import Failed, GuardDone
from autotune.machines.workloads import WorkloadReader, refusal, with_log
from autotune.space.configuration import CompileKey
from autotune.space.dimensions import may_change_answers
from autotune.space.directed import flattened, kept
from autotune.stats.accuracy import accuracy, judged, no_number, of_all
from autotune.workload.guard import Guard
from autotune.workload.words import IN_LOG
from autotune.workload.workload import ModelSource

UNGUARDED = 'nobody looked at its answers: [accuracy] guard = "none"'
"""Why a variant is unproven where a study asks for no guard."""
_RANDOM = "these are random data, on which answers may be near each other and nowhere else"


def accuracy_file(log_folder: Path) -> Path:
    """Where the samples of the guard are kept; what goes with them begins with the same name."""
    return absolute(log_folder / "accuracy.npz")


def answers_key(key: CompileKey) -> CompileKey:
    """The part of a compile key that decides answers: keys that share it are guarded once.

    Batches are not a part of it: that they give the answers of single requests is proven for each.
    """
    names = set(filter(may_change_answers, flattened(dict(key.properties))))
    properties = kept(dict(key.properties), names)
    return CompileKey(key.device, tuple(sorted(properties.items())), 1, key.model)


def refuse_inaccurate(accuracy: Accuracy | None) -> None:
    """What has other answers is not measured, however fast it may be.

    Raises:
        TrialFault: they were seen to be other ones.
    """
    if accuracy is not None and accuracy.verdict is GuardVerdict.MISSED:
        raise TrialFault(Failure(FailureKind.INACCURATE, accuracy.lost, "open"))


def with_guard(opening: Opening, accuracy: Accuracy | None, *, is_variant: bool) -> Opening:
    """An opening with what the guard found, or that nobody has looked at a variant."""
    if accuracy is None and is_variant:
        return replace(opening, unproven=opening.unproven or UNGUARDED)
    return opening.guarded(accuracy)


class GuardKeeper:
    """Accuracies by what decides answers, each found out when it is first asked for."""

    def __init__(
        self, guard: Guard, given: ModelSource, samples: Path, deadlines: Deadlines
    ) -> None:
        """Prepare; nothing is read yet.

        Args:
            guard: of the study.
            given: the model as it was given.
            samples: the file to write, see `accuracy_file`.
            deadlines: longest times.
        """
        self._guard = guard
        self._given = ModelSource(
            path=given.path, shapes=given.shapes, inputs=guard.inputs, workload=guard.asked
        )
        self._samples = samples
        self._deadlines = deadlines
        self._reader = WorkloadReader(samples, deadlines)
        self._known: dict[CompileKey, Accuracy] = {}

    def of(
        self,
        key: CompileKey,
        source: ModelSource,
        served: Mapping[str, str],
        start: Callable[[], WorkerProcess],
    ) -> Accuracy:
        """The accuracy of what has this compile key.

        Args:
            key: what is looked at.
            source: its model file.
            served: of the dimensions that decide what the model is, but for the file, what is not
                at its default.
            start: a new worker.

        Raises:
            TrialFault: it cannot be run.
            ModelError, InputCodeError: samples, labels or metric cannot be used.
        """
        wanted = answers_key(key)
        if wanted not in self._known:
            self._known[wanted] = self._found(wanted, source, served, start)
        return self._known[wanted]

    def _found(
        self,
        key: CompileKey,
        source: ModelSource,
        served: Mapping[str, str],
        start: Callable[[], WorkerProcess],
    ) -> Accuracy:
        guard, files = self._guard, self._reader.files(self._given, start)
        count = self._reader.samples_of(self._given)
        question: dict[str, Any] = {
            "given": files["path"],
            "path": str(source.path),
            "shapes": self._given.shapes,
            "samples": str(self._samples),
            "labels": None if guard.labels is None else str(guard.labels),
            "metric": guard.metric.to_dict(),
            "is_part": guard.is_part(count),
            "held": guard.held(count),
            "device": key.device,
            "properties": dict(key.properties),
            "served": dict(served),
        }
        with killed_on_error(start()) as worker:
            await_ready(worker, self._deadlines)
            answer = ask(worker, self._deadlines.inspect, "guard", **question)
            if isinstance(answer, Failed) and answer.kind in {"data", "code"}:
                raise _refusal(answer, source.path, self._samples.parent)
            found = expected(answer, "open", GuardDone)
        worker.close()
        return accuracy_of(guard, found)


def _refusal(answer: Failed, path: Path, folder: Path) -> Exception:
    error = refusal(answer, path)
    if isinstance(error, InputCodeError):
        logs = sorted(folder.glob("failed-*.log"))
        text = str(error)
        return InputCodeError(with_log(text, logs[-1] if logs and IN_LOG in text else None))
    return ModelError(f"[accuracy] {error}")


def accuracy_of(guard: Guard, found: GuardDone) -> Accuracy:
    """What a worker's scores come to."""
    name = guard.metric.name
    if found.why is not None:
        return no_number(name, guard.max_drop, found.samples, found.why)
    if found.totals is not None:
        scored = of_all(
            name,
            found.totals,
            found.resampled,
            found.samples,
            guard.max_drop,
            is_relative=guard.is_relative,
        )
    else:
        scored = accuracy(
            name,
            found.reference,
            found.found,
            guard.max_drop,
            is_relative=guard.is_relative,
            is_compared=found.is_compared,
        )
    if found.is_identical:
        return judged(scored, GuardVerdict.IDENTICAL)
    if found.is_random and scored.verdict is GuardVerdict.MET:
        return replace(judged(scored, GuardVerdict.UNCLEAR), why=_RANDOM)
    return scored
