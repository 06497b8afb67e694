"""What a worker can do: look at a model and a machine, open a configuration, put it under load."""

import dataclasses
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any, Protocol

import openvino as ov

from autotune.domain.inspection import home_of
from autotune.domain.measurement import Feed
from autotune.space.all_devices import expanded
from autotune.space.directed import flattened
from autotune.worker import model, sample
from autotune.worker.absent import absent
from autotune.worker.asked import WorkloadData, load_asked
from autotune.worker.building import build
from autotune.worker.cache import try_cache
from autotune.worker.deployment import Compiled, DeployedModels, deployment_of
from autotune.worker.device import device_facts
from autotune.worker.device_names import check_device
from autotune.worker.embeddings import table_rows
from autotune.worker.examination import examine
from autotune.worker.faults import classify
from autotune.worker.graph import why_random_misleads
from autotune.worker.guard import hold
from autotune.worker.inputs import input_name, samples
from autotune.worker.inspection import Bench, Findings, inspect
from autotune.worker.items import items_per_request
from autotune.worker.judgement import Subject, forget
from autotune.worker.load import RequestLoop, deployed
from autotune.worker.look_at_workload import (
    WorkloadBench,
    look_at_workload,
    unsaid_ids,
    why_one_request,
)
from autotune.worker.memory import HighWater, give_back, rss_bytes, why_no_phases
from autotune.worker.properties import check_properties
from autotune.worker.read_workload import read_workload
from autotune.worker.readings import meter
from autotune.worker.reference import Run, save_reference
from autotune.workload.workload import Workload


class Answers(Protocol):
    """Where answers go, and whether the parent has said stop."""

    def say(self, word: str, **fields: Any) -> None:
        """Send one answer."""

    def is_told_to_go_on(self) -> bool:
        """Whether the parent wants another block."""


class Session:
    """One worker's state: the runtime, and at most one compiled model with its data."""

    def __init__(self, answers: Answers, core: ov.Core | None = None) -> None:
        self._answers = answers
        self._core = core or ov.Core()
        self._open: tuple[DeployedModels, Compiled] | None = None
        self._source: RequestLoop | None = None
        self._source_kind: tuple[int, bool, str] | None = None
        self._high_water = HighWater()
        self._opened_rss_bytes: int | None = None
        """Held at the first answer, with what compiling left behind, as a deployment holds it."""

    def obey(self, command: dict[str, Any]) -> None:
        """Carry out one command; every fault becomes an answer."""
        do = command.pop("do")
        duties: dict[str, Any] = {
            "look": self.look,
            "examine": self.examine,
            "read_workload": self.read_workload,
            "guard": partial(self._answer, "guarded", hold),
            "build": partial(self._answer, "built", build),
            "inspect": self.inspect,
            "open": self.open,
            "cached": self.cached,
            "load": self.load,
            "write_sample": partial(self._answer, "written", sample.obey),
        }
        try:
            duties.get(do, _nothing)(**command)
        except Exception as error:  # noqa: BLE001 - the one place: a worker's faults are the parent's data
            self._answers.say("failed", kind=classify(error, do), message=model.last_line(error))
        command["do"] = do

    def _answer(self, word: str, duty: Callable[..., dict[str, Any]], **asked: Any) -> None:
        """Carry out what needs no state."""
        self._answers.say(word, **duty(self._core, self._progress, **asked))

    def look(
        self, path: str | None, shapes: dict[str, list[int]] | None = None, batch_size: int = 1
    ) -> None:
        """Say what devices there are, and a model's inputs and outputs; compile nothing.

        With `shapes`, also what the ports are with these shapes and this batch.
        """
        described, static = {}, {}
        if path:
            described = model.describe(model.load(self._core, Path(path)))
        if path and shapes is not None:
            network = model.read(self._core, Path(path), shapes)
            model.set_batch(network, batch_size)
            static = {f"static_{kind}": ports for kind, ports in model.describe(network).items()}
        self._answers.say(
            "looked",
            openvino=ov.get_version(),
            devices={name: device_facts(self._core, name) for name in self._core.available_devices},
            absent={} if path else absent(self._core, self._core.available_devices),
            **{"inputs": [], "outputs": [], **described, **static},
        )

    def examine(self, path: str, shapes: dict[str, list[int]]) -> None:
        """Say what a model holds; compile nothing."""
        facts = examine(self._core, Path(path), shapes)
        self._answers.say("examined", openvino=ov.get_version(), **facts)

    def read_workload(
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        inputs: str | None,
        workload: dict[str, Any],
        samples: str,
    ) -> None:
        """Read what is to be fed, and write it where other workers find it."""
        file = None if inputs is None else Path(inputs)
        asked = Workload.from_dict(workload)
        static, found = read_workload(self._core, Path(path), shapes, file, asked, Path(samples))
        count = len(load_asked(Path(samples)).samples)
        self._answers.say("workload_read", shapes=static, inputs=str(found), samples=count)

    def inspect(  # noqa: PLR0913 - a message's fields
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        inputs: str | None,
        devices: list[str],
        reference: str,
        try_batch: bool,
        named: dict[str, list[str]] | None = None,
        workload: dict[str, Any] | None = None,
    ) -> None:
        """Say what the model and the devices are, and keep reference answers for later workers."""
        available = self._core.available_devices
        devices = list(expanded(devices, available))
        for device in devices:
            check_device(self._core, device, available)
        described = model.describe(model.load(self._core, Path(path)))
        network = model.read(self._core, Path(path), shapes)
        facts = {name: device_facts(self._core, name, network) for name in available}
        model.check_types(self._core, network, devices)
        check_properties(self._core, devices, named or {})
        static_shapes = {input_name(port): list(port.get_shape()) for port in network.inputs}
        file = Path(inputs) if inputs else None
        asked = None if workload is None else load_asked(Path(workload["samples"]))
        alone = why_one_request(network, asked)
        is_real = inputs is not None and (asked is None or not asked.is_random)
        self._progress("counting items")
        items = items_per_request(self._core, network, samples(network, file), home_of(facts))
        warnings = [] if is_real else why_random_misleads(network)
        ids = {} if is_real else unsaid_ids(table_rows(network), asked)
        bench = Bench(
            core=self._core,
            network=network,
            file=file,
            capabilities={name: fact["capabilities"] for name, fact in facts.items()},
            keeps_given=asked is not None,
            progress=self._progress,
        )
        found = inspect(bench, devices, try_batch=try_batch and alone is None)
        forget(Path(reference))
        save_reference(Path(reference), found.reference)
        exact = found.reference.exact
        fed = None if asked is None else self._looked_at(asked, path, shapes, reference, exact)
        self._answers.say(
            "inspected",
            openvino=ov.get_version(),
            devices=facts,
            static_shapes=static_shapes,
            items_per_request=items,
            fed_warnings=warnings,
            why_no_energy=meter().why_not,
            why_no_memory=why_no_phases(),
            why_one_request=alone,
            unsaid_ids=ids,
            workload=fed,
            **_told(found, try_batch=try_batch),
            **described,
        )

    def _looked_at(
        self,
        asked: WorkloadData,
        path: str,
        shapes: dict[str, list[int]],
        reference: str,
        exact: Run,
    ) -> dict[str, Any]:
        return look_at_workload(
            WorkloadBench(
                core=self._core,
                path=Path(path),
                network=model.read(self._core, Path(path), shapes),
                asked=asked,
                device=exact.device,
                arithmetic=exact.requested,
                reference=Path(reference),
                progress=self._progress,
            )
        )

    def _deployment(
        self,
        *,
        path: str,
        shapes: dict[str, list[int]],
        inputs: str | None,
        workload: dict[str, Any] | None = None,
        **chosen: Any,
    ) -> DeployedModels:
        """What is to be opened."""
        asked = None if workload is None else load_asked(Path(workload["samples"]))
        served = {} if workload is None else workload["served"]
        subject = Subject(
            core=self._core,
            read=lambda: model.read(self._core, Path(path), shapes),
            progress=self._progress,
            **{**chosen, "reference": Path(chosen["reference"])},
        )
        return deployment_of(subject, Path(path), Path(inputs) if inputs else None, asked, served)

    def open(self, **chosen: Any) -> None:
        """Compile one configuration, check its answers, and say what it became."""
        self._source = self._open = None
        deployment = self._deployment(**chosen)
        compiled = deployment.compile()
        # What follows is ours: a deployment compares no answers, and reads no reference.
        open_peak_rss_bytes, self._opened_rss_bytes = self._high_water.whole_bytes, rss_bytes()
        error, unproven = deployment.prove(compiled)
        compiled = deployment.ready(compiled)
        self._open = deployment, compiled
        asked = flattened(chosen["properties"])
        effective = model.effective_properties(compiled.models[-1], asked)
        optimal = int(effective.get("OPTIMAL_NUMBER_OF_INFER_REQUESTS", "1"))
        is_alone = bool(model.variables(compiled.models[0]))
        give_back()
        self._answers.say(
            "opened",
            effective=effective,
            optimal_requests=1 if is_alone else optimal,
            read_s=compiled.read_s,
            compile_s=compiled.compile_s,
            first_inference_ms=compiled.first_inference_ms,
            output_error=error,
            unproven=unproven,
            open_peak_rss_bytes=open_peak_rss_bytes,
        )

    def cached(self, *, cache: str, **chosen: Any) -> None:
        """Compile one configuration with a model cache, and say what that took."""
        found = try_cache(self._deployment(**chosen), Path(cache))
        self._answers.say("cached", **dataclasses.asdict(found))

    def _progress(self, what: str) -> None:
        """A long command goes on: every step has its own time."""
        self._answers.say("progress", what=what)

    def load(
        self,
        *,
        num_requests: int,
        is_blocking: bool,
        feed: str,
        block_s: float,
        block_requests: int,
        limit_s: float,
    ) -> None:
        """Blocks of load, each next one when told to go on, for `limit_s` at most.

        The parent decides within a millisecond whether it needs another block. Requests that end
        meanwhile are in the unrecorded round with which a block begins.
        """
        source = self._requests(num_requests, feed, is_blocking=is_blocking)
        deadline = time.monotonic() + limit_s
        source.fill()
        try:
            going = True
            while going:
                self._answers.say("block", **source.block(block_s, block_requests))
                going = time.monotonic() < deadline and self._answers.is_told_to_go_on()
        finally:
            source.drain()
        self._answers.say(
            "stopped",
            peak_rss_bytes=self._high_water.whole_bytes,
            load_peak_rss_bytes=self._high_water.phase_bytes,
        )

    def _requests(self, num_requests: int, feed: str, *, is_blocking: bool) -> RequestLoop:
        """The requests of the last load where they fit: a turn in a race must cost no set-up."""
        if self._open is None:
            message = "no model is open"
            raise RuntimeError(message)
        kind = (num_requests, is_blocking, feed)
        if self._source is None or self._source_kind != kind:
            self._source = None  # the old ones go first: two sets may not fit in memory
            give_back()
            self._high_water.begin(self._opened_rss_bytes)
            deployment, compiled = self._open
            self._source = deployed(
                compiled.models,
                num_requests,
                deployment.feeding(compiled, feed),
                is_blocking=is_blocking,
                times_feeding=feed == Feed.END_TO_END,
            )
            self._source_kind = kind
        return self._source


def _told(found: Findings, *, try_batch: bool) -> dict[str, Any]:
    """What inspection found of answers, as the parent is told."""
    reference = found.reference
    return {
        "default_precision": found.default_precision,
        "precision_errors": found.precision_errors,
        "untrusted": found.untrusted,
        "unproven_precisions": reference.unproven_precisions(),
        "is_deterministic": reference.is_deterministic,
        "why_no_batch": reference.why_no_batch,
        "unproven_batch": reference.unproven_batch if try_batch else None,
    }


def _nothing(**_: Any) -> None:
    """`close`, and a late `stop`."""
