"""Files for deployment targets: one module for each."""

from autotune.export.targets import (
    benchmark_app,
    cpp,
    kubernetes,
    model_server,
    onnxruntime,
    python,
    triton,
)
from autotune.export.targets.target import Target

TARGETS: dict[str, Target] = {
    "benchmark_app": benchmark_app.export,
    "python": python.export,
    "cpp": cpp.export,
    "model-server": model_server.export,
    "triton": triton.export,
    "onnxruntime": onnxruntime.export,
    "kubernetes": kubernetes.export,
}
"""Every target by the name that users give it."""
