"""Variants in a study: which are tried, what the guard keeps out, and what may be certified."""

import re
from pathlib import Path
from typing import Any

import pytest

from autotune.domain.accuracy import Accuracy, Drop, GuardVerdict
from autotune.domain.failure import FailureKind
from autotune.domain.inspection import Inspection, ModelPort
from autotune.domain.race import Status
from autotune.errors import ModelError, SpecError, StudyMismatchError
from autotune.export.from_study import best_of_study
from autotune.machines.building import Made
from autotune.space.configuration import CompileKey
from autotune.space.rows.variant import GIVEN
from autotune.stats.accuracy import accuracy, no_number
from autotune.storage.reader import StudyReader
from autotune.testing import SimulatedCpu, SimulatedRunner
from autotune.tuning import variants as module
from autotune.tuning.findings import given_back_in_words
from autotune.tuning.prepare import prepared_on
from autotune.tuning.tune import tune
from autotune.tuning.variants import Making, broken_contract, make_variants, refuse_unmakeable
from tests.tuning.races import Told, make_spec

GOOD = accuracy("top1", [1.0] * 2000, [1.0] * 1999 + [0.0], 0.01, is_compared=True)
FEW = accuracy("top1", [1.0] * 20, [1.0] * 20, 0.01, is_compared=True)
BAD = accuracy("top1", [1.0] * 200, [1.0] * 150 + [0.0] * 50, 0.01, is_compared=True)
SAME = accuracy("top1", [1.0] * 3, [1.0] * 3, 0.01, is_compared=True)
SPACE = {"batch": [1], "pinning": [True], "requests_per_stream": [1, 2]}


@pytest.fixture
def study(folder: Path) -> Path:
    """A study's folder with the files of three variants."""
    for name in ("good", "few", "bad"):
        (folder / f"{name}.onnx").write_bytes(name.encode())
    return folder


def spec_of(*names: str, **sections: dict[str, Any]) -> Any:
    """A study with variants of these names."""
    files = {name: f"{name}.onnx" for name in names}
    found: dict[str, Any] = {"space": SPACE, **sections}
    return make_spec(variants=files, **found)


def runner_of(**fields: Any) -> SimulatedRunner:
    """A machine of two CPUs that knows three variants."""
    found = {"good": GOOD, "few": FEW, "bad": BAD}
    return SimulatedRunner(cpu=SimulatedCpu(cpus=2), variants=found, **fields)


class TwiceAsSlow(dict[CompileKey, float]):
    """The model as it was given, against its variants: hints and all."""

    def get(self, key: CompileKey, default: Any = None) -> Any:
        """How many times longer its requests take."""
        return default if "variant" in dict(key.model) else 2.0


def test_what_has_other_answers_is_not_tried(study: Path) -> None:
    """It costs no trial, and the study says why."""
    told = Told()
    runner = runner_of()
    outcome = tune(spec_of("good", "bad"), study, runner=runner, on_event=told)
    tried = {trial.configuration.variant for trial in outcome.trials}
    assert tried == {GIVEN, "good"}
    (note,) = [e.notes for e in told.events if hasattr(e, "notes")]
    assert any(
        text.startswith("variant bad is not tried: its answers are too far") for text in note
    )
    with pytest.raises(SpecError, match=r"\[space\] variant: bad is not tried: its answers"):
        prepared_on(runner, spec_of("good", "bad", space={**SPACE, "variant": ["bad"]}))
    with pytest.raises(SpecError, match=r"'x' is no variant; there are model, good"):
        prepared_on(runner, spec_of("good", space={**SPACE, "variant": ["x"]}))


def test_a_variant_that_is_shown_may_be_certified(study: Path) -> None:
    """It is raced against the model as it was given, and exported with its evidence."""
    runner = runner_of(slower=TwiceAsSlow())
    outcome = tune(spec_of("good", budget={"duration": "4m"}), study, runner=runner)
    assert outcome.race is not None
    assert outcome.best is not None
    assert (outcome.race.status, outcome.best.configuration.variant) == (Status.CERTIFIED, "good")
    store = StudyReader.read_only(study)
    file = best_of_study(
        store, study, outcome.best, outcome.trials, outcome.goal, race=outcome.race
    )
    store.close()
    assert file.model.path == "good.onnx"
    assert file.model.reference is not None
    assert file.model.reference.path == "model.onnx"
    assert file.accuracy is not None
    assert (file.accuracy.verdict, file.accuracy.samples) == (GuardVerdict.MET, 2000)


def test_what_is_not_shown_is_never_certified(study: Path) -> None:
    """Measured, raced, and called unproven, with the samples that would decide."""
    runner = runner_of(slower=TwiceAsSlow())
    outcome = tune(spec_of("few", budget={"duration": "4m"}), study, runner=runner)
    assert outcome.race is not None
    assert outcome.best is not None
    assert (outcome.race.status, outcome.best.configuration.variant) == (Status.UNPROVEN, "few")
    measured = outcome.best.measurement
    assert measured is not None
    assert "samples would decide" in str(measured.opening.unproven)


def test_a_study_goes_on_with_what_is_known_of_answers(study: Path) -> None:
    """What the guard found is on record, and read again."""
    spec = spec_of("good", budget={"trials": 4})
    tune(spec, study, runner=runner_of())
    store = StudyReader.read_only(study)
    found = {
        trial.configuration.variant: trial.measurement.opening.accuracy
        for trial in store.trials()
        if trial.measurement is not None
    }
    store.close()
    assert found["good"] == GOOD
    assert found[GIVEN] is None
    outcome = tune(
        spec.model_copy(update={"budget": spec.budget.model_copy(update={"trials": 6})}),
        study,
        runner=runner_of(),
    )
    assert len(outcome.trials) >= 6


def test_a_variant_that_has_changed_is_another_study(study: Path) -> None:
    """As is one that was left out, or another limit."""
    spec = spec_of("good", budget={"trials": 3})
    tune(spec, study, runner=runner_of())
    for other in (
        spec_of("good", "few", budget={"trials": 3}),
        spec_of("good", budget={"trials": 3}, accuracy={"max_drop": 0.02}),
    ):
        with pytest.raises(StudyMismatchError, match=r"variants|accuracy"):
            tune(other, study, runner=runner_of())
    (study / "good.onnx").write_bytes(b"other weights")
    with pytest.raises(StudyMismatchError, match=r"variants.good: another content"):
        tune(spec, study, runner=runner_of())


def test_a_variant_is_inaccurate_in_one_precision_only(study: Path) -> None:
    """Then it is tried in the others; a failure says what was lost."""

    class InOne(SimulatedRunner):
        def accuracy(self, key: Any) -> Accuracy | None:
            found = super().accuracy(key)
            is_low = dict(key.properties).get("INFERENCE_PRECISION_HINT") == "bf16"
            return BAD if found is not None and is_low else found

    runner = InOne(cpu=SimulatedCpu(cpus=2), variants={"good": GOOD})
    space = {**SPACE, "precision": ["f32", "bf16"]}
    outcome = tune(
        spec_of("good", space=space, budget={"trials": 20}, race={"share": 0.0}),
        study,
        runner=runner,
    )
    own = [t for t in outcome.trials if t.configuration.variant == "good"]
    failed = [t.failure for t in own if t.failure is not None]
    assert {t.configuration.precision for t in own if t.measurement is not None} <= {"f32", None}
    assert all(failure.kind is FailureKind.INACCURATE for failure in failed)
    assert all("top1 loses 0.25 on 200 held-out samples" in failure.message for failure in failed)


def test_a_missing_file_is_named(study: Path) -> None:
    """With its key, before anything is done."""
    (study / "good.onnx").unlink()
    with pytest.raises(ModelError, match=r"study.toml: \[variants\] good: .*good.onnx"):
        tune(spec_of("good"), study)


def test_what_nothing_here_can_make_is_said_at_once(
    study: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the command that installs it."""
    monkeypatch.setattr(module, "find_spec", lambda _: None)
    spec = make_spec(variants={"int8": {"quantize": "int8"}})
    with pytest.raises(ModelError, match=r"openvino-autotune\[int8\]"):
        refuse_unmakeable(spec, study)
    refuse_unmakeable(make_spec(variants={"half": {"compress": "fp16"}}), study)


class Maker:
    """Makes what it is told to."""

    def __init__(self, made: Made) -> None:
        self._made = made

    def made(self, *_: Any) -> Made:
        """Without any work."""
        return self._made


def test_what_is_not_quantised_any_more_is_no_variant(study: Path) -> None:
    """What was given back is named where something is left."""
    spec = make_spec(variants={"int8": {"quantize": "int8", "accuracy_aware": True}})
    path = study / "good.onnx"
    path.with_suffix(".bin").write_bytes(b"weights")

    def making(quantised: int) -> Making:
        made = Made(
            path=path,
            operations={"MatMul": (quantised, 3)},
            calibrated=10,
            given_back=("a", "b"),
            nncf="3",
            took_s=1.0,
            is_kept=False,
        )
        return make_variants(spec, study, Maker(made), lambda _: None)  # type: ignore[arg-type]

    assert making(0).failed["int8"].startswith("all 2 operations were given back: whichever")
    found = making(1)
    assert (found.failed, list(found.made)) == ({}, ["int8"])
    assert given_back_in_words(found.made["int8"].given_back) == "gave 2 operations back: a, b"
    assert given_back_in_words([str(n) for n in range(25)]).endswith("18, 19 and 5 more")


@pytest.mark.parametrize(
    ("variant", "accuracy", "words"),
    [
        ({"compress": "fp16", "accuracy_aware": True}, {}, "accuracy_aware is of quantize"),
        (
            {"quantize": "int8", "accuracy_aware": True},
            {"guard": "none"},
            "variant int8 is accuracy_aware, and there is no guard",
        ),
        (
            {"quantize": "int8", "accuracy_aware": True},
            {"metric": "top1", "labels": "y.npy", "inputs": "x.npy"},
            "needs those of the samples that calibrate",
        ),
    ],
)
def test_giving_back_needs_something_to_be_near_to(
    variant: dict[str, Any], accuracy: dict[str, Any], words: str
) -> None:
    """Said of the file, before anything is made."""
    with pytest.raises(SpecError, match=words):
        make_spec(variants={"int8": variant}, accuracy=accuracy)


def ports(inputs: Any, outputs: Any) -> Inspection:
    """A model with these, as name, shape and type."""
    made = [
        tuple(ModelPort(name=n, shape=s, type=t) for n, s, t in one) for one in (inputs, outputs)
    ]
    return Inspection(
        openvino="",
        devices={},
        default_precision="f32",
        precision_errors={},
        why_no_batch=None,
        static_shapes={},
        inputs=made[0],
        outputs=made[1],
    )


X, Y, Z = ("x", "[1,3,?,?]", "f32"), ("y", "[1,10]", "f32"), ("z", "[1,4]", "f32")


@pytest.mark.parametrize(
    ("inputs", "outputs", "words"),
    [
        ([X], [Y, Z], None),
        ([("x", "[1,3,224,224]", "f32")], [Y, Z], None),
        ([("x", "[...]", "f32")], [Y, Z], None),
        ([("a", "[1,3,?,?]", "f32")], [Y, Z], "it has the inputs a, and the model x"),
        ([X, Z], [Y, Z], "it has the inputs x, z, and the model x"),
        ([("x", "[1,3,?,?]", "u8")], [Y, Z], "input 'x' is u8, and f32 of the model"),
        ([("x", "[1,1,?,?]", "f32")], [Y, Z], r"input 'x' is \[1,1,\?,\?\]"),
        ([("x", "[1,3,?]", "f32")], [Y, Z], "input 'x' is"),
        ([X], [Z, Y], "its outputs come in another order: z, y"),
        ([X], [Y], "it has the outputs y, and the model y, z"),
        ([X], [Y, ("z", "[1,5]", "f32")], "output 'z'"),
    ],
)
def test_a_variant_has_the_inputs_and_outputs_of_the_model(
    inputs: Any, outputs: Any, words: str | None
) -> None:
    """By name, order, type and shape, as far as both say it."""
    found = broken_contract(ports([X], [Y, Z]), ports(inputs, outputs))
    if words is None:
        assert found is None
    else:
        assert found is not None
        assert re.search(words, found)


def test_a_doubt_says_what_would_decide() -> None:
    """And what was seen; nothing of what is shown."""
    assert GOOD.doubt is None
    assert FEW.doubt == (
        "top1 loses 0 on 20 held-out samples, at most 0.168 at 95 %, and 0.01 may be lost; about "
        "368 samples would decide"
    )
    assert no_number("top1", 0.01, 5, "it is empty").doubt == "top1 says nothing: it is empty"
    assert Accuracy.from_dict(BAD.to_dict()) == BAD
    unknown = Drop(seen=0.0, low=float("-inf"), high=float("inf"))
    assert unknown.high > 1
