"""What a look at the model could not show of its answers, for evidence that was there before it."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, TypeGuard

from autotune.domain.trial import Trial
from autotune.space.configuration import Configuration, Effective
from autotune.space.dimensions import ARITHMETIC


@dataclass(frozen=True, slots=True, kw_only=True)
class Doubts:
    """Why a batch, or a precision of a device, is unproven: whoever measured it, and when."""

    batch: str | None = None
    """Why a batch could not be shown to give the answers of single requests."""
    precisions: Mapping[str, Mapping[str, str]] = field(default_factory=dict)
    """By device and precision, why its answers are not proven."""

    def why(self, configuration: Configuration, effective: Effective | None) -> str | None:
        """Why the answers of a configuration are not proven; None where nothing speaks against it.

        Without `effective` nobody knows any more than what was asked for.
        """
        if configuration.batch_size > 1 and self.batch is not None:
            return self.batch
        used = "" if effective is None else effective.arithmetic
        known = self.precisions.get(configuration.device, {})
        return known.get(used or ARITHMETIC.of(configuration) or "")

    def of(self, trial: Trial) -> Trial:
        """The trial, with why it is not proven; what it was measured with has the first word."""
        measured = trial.measurement
        if measured is None or measured.opening.unproven is not None:
            return trial
        why = self.why(trial.configuration, measured.opening.effective)
        if why is None:
            return trial
        opening = replace(measured.opening, unproven=why)
        return replace(trial, measurement=replace(measured, opening=opening))

    def __str__(self) -> str:
        found = [] if self.batch is None else [f"a batch, as {self.batch}"]
        for device, known in self.precisions.items():
            found += [
                f"{arithmetic or 'what it uses by itself'} on {device}, as {why}"
                for arithmetic, why in known.items()
            ]
        return "; ".join(found) or "nothing any more"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary."""
        precisions = {device: dict(known) for device, known in self.precisions.items()}
        return {"batch": self.batch, "precisions": precisions}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "Doubts":
        """What `to_dict` gave.

        Raises:
            ValueError: it gave something else.
        """
        batch, precisions = values.get("batch"), values.get("precisions", {})
        if not isinstance(batch, str | None) or not _is_two_deep(precisions):
            message = f"what is unproven is {values!r:.200}"
            raise ValueError(message)
        return cls(batch=batch, precisions=precisions)


def _is_two_deep(values: object) -> TypeGuard[dict[str, dict[str, str]]]:
    """Whether these are texts by two names."""
    return isinstance(values, dict) and all(
        isinstance(known, dict) and all(isinstance(why, str) for why in known.values())
        for known in values.values()
    )
