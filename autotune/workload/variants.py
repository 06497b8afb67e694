"""How a variant of a model is made: a recipe that says all that decides what comes out."""

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

COMPRESSIONS = ("fp16", "int8_sym", "int8_asym", "int4_sym", "int4_asym")
"""Forms of smaller weights; the arithmetic is that of the model as it was given."""


@dataclass(frozen=True, slots=True, kw_only=True)
class VariantRecipe:
    """What is done to the model as it was given; one of `quantize` and `compress` is set."""

    quantize: str | None = None
    """int8: weights and activations, calibrated on samples."""
    compress: str | None = None
    """Of `COMPRESSIONS`: weights alone."""
    preset: str | None = None
    """performance or mixed; None leaves it to NNCF."""
    subset: int = 300
    """Samples that calibration takes at most."""
    ignored: tuple[str, ...] = ()
    """Names of operations that keep their precision."""
    transformer: bool = False
    accuracy_aware: bool = False
    """Whether operations are given back where the answers of the whole are too far off."""

    @property
    def needs_samples(self) -> bool:
        """Whether it is calibrated."""
        return self.quantize is not None

    @property
    def needs_nncf(self) -> bool:
        """Whether more than the runtime is needed."""
        return self.compress != "fp16"

    def to_dict(self) -> dict[str, Any]:
        """A JSON-ready dictionary of what is said; `from_dict` reads it back."""
        usual = VariantRecipe()
        told = {k: v for k, v in asdict(self).items() if v != getattr(usual, k)}
        return {**told, **({"ignored": list(self.ignored)} if self.ignored else {})}

    @classmethod
    def from_dict(cls, values: Mapping[str, Any]) -> "VariantRecipe":
        """What `to_dict` gave."""
        return cls(**{**values, "ignored": tuple(values.get("ignored", ()))})

    def __str__(self) -> str:
        if self.compress is not None:
            return f"weights as {self.compress}"
        said = [f"quantised to {self.quantize}"]
        said += [f"preset {self.preset}"] if self.preset else []
        said += [f"{len(self.ignored)} operations left out"] if self.ignored else []
        said += ["given back what costs too much accuracy"] if self.accuracy_aware else []
        return ", ".join(said)
