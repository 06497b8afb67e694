"""Compile with a model cache: what a deployment that has started once before waits for."""

from dataclasses import dataclass
from pathlib import Path

import openvino as ov

from autotune.worker.deployment import DeployedModels
from autotune.worker.judgement import Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class CacheTrial:
    """Times of compiling with a cache folder, and why it did not come from there."""

    compile_s: float
    first_inference_ms: float
    why_not: str | None


def try_cache(deployment: DeployedModels, cache: Path) -> CacheTrial:
    """Compile and run once, with a folder that another process may have filled.

    The folder is set on the runtime, as meta devices refuse it among their own properties.
    """
    subject = deployment.subject
    subject.core.set_property({"CACHE_DIR": str(cache)})
    compiled = deployment.compile()
    return CacheTrial(
        compile_s=compiled.compile_s,
        first_inference_ms=compiled.first_inference_ms,
        why_not=_why_not(subject, compiled.models[-1], cache),
    )


def _why_not(subject: Subject, compiled: ov.CompiledModel, cache: Path) -> str | None:
    try:
        if compiled.get_property("LOADED_FROM_CACHE"):
            return None
    except (RuntimeError, TypeError):
        return f"{subject.device} does not say whether a model came from its cache"
    if not any(cache.iterdir()):
        return f"{subject.device} keeps no model in a cache"
    return f"{subject.device} did not take the model from its cache"
