"""What trials are measured on: one open model, and the reference beside it."""

from collections.abc import Callable, Sequence
from dataclasses import replace

from autotune.domain.failure import TrialFault
from autotune.domain.goal import Goal
from autotune.domain.measurement import Cached, Feed, Flag, Measurement, Opening
from autotune.domain.ranking import better_hint
from autotune.domain.trial import Trial
from autotune.errors import StorageError
from autotune.machines.ports import OpenModel, Runner
from autotune.measuring.measure import Plan, measure
from autotune.space.configuration import CompileKey, Configuration
from autotune.tuning.reference import Reading, Reference


class Rig:
    """One model is open between trials, so that a sweep need not open it again."""

    def __init__(
        self,
        runner: Runner,
        goal: Goal,
        items_per_request: int,
        *,
        feed: Feed | None,
        keep: Callable[[Configuration, Reading], None],
        tries_cache: bool = False,
    ) -> None:
        """Prepare; nothing is opened yet.

        Args:
            runner: how configurations are measured.
            goal: of the study.
            items_per_request: at batch 1.
            feed: how the reference is fed; None for no reference.
            keep: hears of every slice of the reference.
            tries_cache: whether each model is opened once more from a model cache.
        """
        self._runner = runner
        self._goal = goal
        self._items_per_request = items_per_request
        self._feed = feed
        self._keep = keep
        self._cached: dict[CompileKey, Cached] | None = {} if tries_cache else None
        self._model: tuple[CompileKey, OpenModel] | None = None
        self._reference: Reference | None = None

    @property
    def is_open(self) -> bool:
        """Whether the model of the last trial is still there."""
        return self._model is not None

    def opened(self, key: CompileKey) -> OpenModel:
        """The model of this compile key: the one that is open, or a new one in its place.

        Raises:
            TrialFault: it could not be opened.
        """
        if self._model is None or self._model[0] != key:
            self.close()
            self._model = (key, self._runner.open(key))
        return self._model[1]

    def measured(
        self, configuration: Configuration, model: OpenModel, plan: Plan, to_beat_per_s: float
    ) -> Measurement:
        """Put the open model under load; flagged where the machine has another speed than usual.

        Raises:
            TrialFault: the worker failed.
        """
        found = measure(
            model, configuration, self._goal, plan, to_beat_per_s, self._items_per_request
        )
        if not model.is_open:  # it would not stop
            self.close()
        found = replace(found, opening=self._with_cache(configuration.compile_key, found.opening))
        if self._reference is not None and self._reference.is_off:
            return replace(found, flags=found.flags | {Flag.DRIFT})
        return found

    def _with_cache(self, key: CompileKey, opening: Opening) -> Opening:
        """With what a model cache makes of it; once for each model, after all that counts.

        Whatever goes wrong costs this reading, and no trial.
        """
        if self._cached is None:
            return opening
        if key not in self._cached:
            try:
                self._cached[key] = self._runner.cached(key)
            except TrialFault as fault:
                self._cached[key] = Cached(why_not=fault.failure.message)
            except StorageError as error:
                self._cached[key] = Cached(why_not=str(error))
        return self._cached[key].of(opening)

    def visit_reference(self, trials: Sequence[Trial]) -> None:
        """How fast is the machine now? A slice of the better hint, once both are known."""
        if self._feed is None:
            return
        if self._reference is None:
            hint = better_hint(trials, self._goal)
            if hint is None or hint.measurement is None:
                return
            configuration = hint.configuration
            self._reference = Reference(
                self._runner,
                configuration,
                self._feed,
                need_bytes=hint.measurement.peak_rss_bytes,
                keep=lambda reading: self._keep(configuration, reading),
            )
        self._reference.visit()

    def close(self) -> None:
        """Let the open model go; the reference stays."""
        if self._model is not None:
            self._model[1].close()
            self._model = None

    def leave(self) -> None:
        """No model stays open."""
        self.close()
        if self._reference is not None:
            self._reference.close()
