"""The guard on real models: what is identical passes, what is planted wrong does not."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from openvino import opset13 as op

from autotune.domain.accuracy import Accuracy, GuardVerdict
from autotune.errors import InputCodeError
from autotune.machines.guards import accuracy_of
from autotune.machines.protocol import GuardDone
from autotune.spec.variants import AccuracySpec
from autotune.spec.workload import WorkloadSpec
from autotune.worker.asked import load_asked
from autotune.worker.given_answers import forget_answers, given_answers
from autotune.worker.guard import hold
from autotune.worker.inputs import DataError
from autotune.worker.read_workload import read_workload
from autotune.workload.workload import Workload

pytestmark = pytest.mark.openvino

SAMPLES, CLASSES = 900, 5


@pytest.fixture(scope="module")
def core() -> ov.Core:
    """One for all models."""
    return ov.Core()


def classifier(
    folder: Path, name: str, *, noise: float = 0.0, swapped: bool = False, has_logs: bool = False
) -> Path:
    """x: f32 1x16; scores of five classes and a shorter output, with noise on its weights."""
    random = np.random.default_rng(7)
    x = op.parameter([1, 16], np.float32, name="x")
    hidden = op.relu(op.matmul(x, _weights(random, noise, 16, 24), False, False))
    scores = op.matmul(hidden, _weights(random, noise, 24, CLASSES), False, False)
    shorter = op.tanh(op.matmul(hidden, _weights(random, noise, 24, CLASSES), False, False))
    if has_logs:
        scores = op.add(scores, op.reduce_sum(op.log(x), op.constant([1]), keep_dims=True))
    model = ov.Model([shorter, scores] if swapped else [scores, shorter], [x], name)
    model.inputs[0].get_tensor().set_names({"x"})
    for port, label in zip(model.outputs, ("scores", "shorter"), strict=True):
        port.get_tensor().set_names({label})
    path = folder / f"{name}.xml"
    ov.save_model(model, path, compress_to_fp16=False)
    return path


def _weights(random: np.random.Generator, noise: float, *shape: int) -> Any:
    values = random.standard_normal(shape).astype(np.float32)
    other = np.random.default_rng(8).standard_normal(shape).astype(np.float32)
    return op.constant(values + np.float32(noise) * np.abs(values).mean() * other)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with samples, their labels by the model itself but for a seventh, and metrics."""
    folder = tmp_path_factory.mktemp("guard")
    random = np.random.default_rng(1)
    samples = random.standard_normal((SAMPLES, 16)).astype(np.float32)
    np.save(folder / "x.npy", samples)
    given = classifier(folder, "given")
    compiled = ov.Core().compile_model(given, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    right = np.array([int(compiled(one[None])[0].argmax()) for one in samples])
    right[::7] = (right[::7] + 1) % CLASSES
    np.save(folder / "labels.npy", right)
    (folder / "few.txt").write_text("\n".join(map(str, right[:30])))
    (folder / "metrics.py").write_text(
        "import numpy as np\n"
        "def share(outputs, samples):\n"
        "    return np.mean(each(outputs, samples))\n"
        "def each(outputs, samples):\n"
        "    return [o['scores'].argmax() == s['label'] for o, s in zip(outputs, samples)]\n"
        "def raises(outputs, samples):\n"
        "    raise KeyError('no such output')\n"
        "def nothing(outputs, samples):\n"
        "    return None\n"
        "def nan(outputs, samples):\n"
        "    return float('nan')\n"
        "def few(outputs, samples):\n"
        "    return [1.0, 0.0]\n"
        "def takes_one(outputs):\n"
        "    return 1.0\n"
    )
    return folder


def guarded(
    core: ov.Core,
    home: Path,
    variant: Path,
    said: dict[str, Any] | None = None,
    *,
    asked: dict[str, Any] | None = None,
    precision: str = "f32",
    served: dict[str, str] | None = None,
    given: Path | None = None,
) -> Accuracy:
    """What the guard of a study says of a file."""
    spec = AccuracySpec.model_validate(said or {})
    workload = WorkloadSpec.model_validate(asked or {"inputs": "x.npy"})
    guard = spec.within(home, workload, None)
    assert guard is not None
    given, samples = given or home / "given.xml", home / f"{variant.stem}.samples.npz"
    read_workload(core, given, {}, None, guard.asked, samples)
    count = len(load_asked(samples).samples)
    found = hold(
        core,
        lambda _: None,
        metric=guard.metric.to_dict(),
        labels=None if guard.labels is None else str(guard.labels),
        samples=str(samples),
        is_part=guard.is_part(count),
        held=guard.held(count),
        given=str(given),
        path=str(variant),
        shapes={},
        device="CPU",
        properties={"INFERENCE_PRECISION_HINT": precision},
        served=served or {},
    )
    return accuracy_of(guard, GuardDone(say="guarded", **found))


def test_every_other_sample_is_held_out(core: ov.Core, home: Path) -> None:
    """And no more than is asked for; samples of the guard's own are held out altogether."""
    found = guarded(core, home, home / "given.xml")
    assert (found.samples, found.verdict) == (SAMPLES // 2, GuardVerdict.IDENTICAL)
    assert guarded(core, home, home / "given.xml", {"samples": 100}).samples == 100
    own = guarded(core, home, home / "given.xml", {"inputs": "x.npy"})
    assert own.samples == SAMPLES


@pytest.mark.parametrize("metric", ["cosine", "relative_error", "top1", "metrics.py:share"])
def test_a_file_that_was_saved_again_is_identical(core: ov.Core, home: Path, metric: str) -> None:
    """By any metric, and on few samples as well as on many."""
    again = home / "again.xml"
    ov.save_model(core.read_model(home / "given.xml"), again, compress_to_fp16=False)
    for samples in (1, 7, 400):
        said = {"metric": metric, "max_drop": 0, "samples": samples}
        if ":" in metric:
            said["labels"] = "labels.npy"
        assert guarded(core, home, again, said).verdict is GuardVerdict.IDENTICAL


@pytest.mark.parametrize("noise", [0.01, 0.1, 0.5])
@pytest.mark.parametrize("metric", ["cosine", "relative_error", "top1"])
def test_noise_on_the_weights_passes_only_where_it_loses_little(
    core: ov.Core, home: Path, metric: str, noise: float
) -> None:
    """What all samples lose decides which of them may pass; what loses more never does."""
    variant = classifier(home, f"noise-{noise}", noise=noise)
    for limit in (0.001, 0.01, 0.03, 0.2):
        said = {"metric": metric, "max_drop": limit, "inputs": "x.npy"}
        truth = guarded(core, home, variant, said).drop
        found = guarded(core, home, variant, {"metric": metric, "max_drop": limit, "samples": 300})
        assert truth is not None
        if truth.seen > limit:
            assert not found.verdict.is_shown
        if found.verdict is GuardVerdict.MET:
            assert found.drop is not None
            assert found.drop.high <= limit


@pytest.mark.parametrize("metric", ["cosine", "relative_error", "top1"])
def test_swapped_outputs_are_refused(core: ov.Core, home: Path, metric: str) -> None:
    """The names are those of the model, and the values each other's."""
    variant = classifier(home, "swapped", swapped=True)
    found = guarded(core, home, variant, {"metric": metric, "max_drop": 0.05})
    assert found.verdict is GuardVerdict.MISSED


def test_another_preprocessing_is_refused(core: ov.Core, home: Path) -> None:
    """A variant that expects another scale of its inputs."""
    network = core.read_model(home / "given.xml")
    prepared = ov.preprocess.PrePostProcessor(network)
    prepared.input().preprocess().mean(0.5).scale(0.25)
    variant = home / "scaled.xml"
    ov.save_model(prepared.build(), variant, compress_to_fp16=False)
    assert guarded(core, home, variant, {"max_drop": 0.05}).verdict is GuardVerdict.MISSED


def test_labels_decide_what_is_lost(core: ov.Core, home: Path) -> None:
    """Against the right answers a variant may gain as well as lose."""
    variant = classifier(home, "noise-0.3", noise=0.3)
    said = {"metric": "top1", "labels": "labels.npy", "output": "scores", "max_drop": 0.9}
    found = guarded(core, home, variant, said)
    assert found.reference == pytest.approx(6 / 7, abs=0.01)
    assert found.value is not None
    assert found.reference is not None
    assert found.value < found.reference
    function = guarded(core, home, variant, {**said, "output": None, "metric": "metrics.py:each"})
    assert (function.value, function.reference) == (found.value, found.reference)
    assert function.drop == found.drop
    whole = guarded(core, home, variant, {**said, "output": None, "metric": "metrics.py:share"})
    assert whole.value == pytest.approx(found.value)
    assert whole.drop is not None
    assert found.drop is not None
    assert whole.drop.seen == pytest.approx(found.drop.seen)
    assert whole.drop.low < whole.drop.seen < whole.drop.high


@pytest.mark.parametrize(
    ("said", "words"),
    [
        ({"metric": "metrics.py:nothing"}, "returned NoneType"),
        ({"metric": "metrics.py:nan"}, "returned nan"),
        ({"metric": "metrics.py:few"}, r"an array of \[2\]"),
        ({"metric": "metrics.py:takes_one"}, "outputs, samples|takes"),
        ({"metric": "metrics.py:none_such"}, "has no function"),
        ({"metric": "top1", "labels": "few.txt"}, "has 30 labels, and there are 900 samples"),
    ],
)
def test_what_cannot_be_used_is_named(
    core: ov.Core, home: Path, said: dict[str, Any], words: str
) -> None:
    """In one line."""
    with pytest.raises(DataError, match=words) as caught:
        guarded(core, home, home / "given.xml", said)
    assert "\n" not in str(caught.value)


def test_a_metric_that_raises_is_the_users_code(core: ov.Core, home: Path) -> None:
    """Its traceback is in the log."""
    with pytest.raises(InputCodeError, match=r"metrics.py:raises raised KeyError"):
        guarded(core, home, home / "given.xml", {"metric": "metrics.py:raises"})


def test_outputs_that_say_nothing_fail(core: ov.Core, home: Path) -> None:
    """All the same, whatever goes in: of a model like that nothing can be shown."""
    x = op.parameter([1, 16], np.float32, name="x")
    zeros = op.multiply(x, op.constant(np.float32(0)))
    model = ov.Model([op.exp(zeros)], [x], "silent")
    model.inputs[0].get_tensor().set_names({"x"})
    path = home / "silent.xml"
    ov.save_model(model, path)
    found = guarded(core, home, path, given=path)
    assert (found.verdict, found.value) == (GuardVerdict.MISSED, None)
    assert "the same for every sample" in str(found.why)


def test_values_that_are_not_finite_fail(core: ov.Core, home: Path) -> None:
    """However few: the logarithm of half of all inputs is no number."""
    found = guarded(core, home, classifier(home, "nan", has_logs=True))
    assert found.verdict is GuardVerdict.MISSED
    assert "not finite" in str(found.why)


def test_random_data_show_nothing(core: ov.Core, home: Path) -> None:
    """Near each other on noise is not near each other."""
    found = guarded(
        core,
        home,
        classifier(home, "noise-1e-05", noise=1e-5),
        {"max_drop": 0.9},
        asked={"random": {"x": {"low": 0, "high": 1}}},
    )
    assert found.verdict is GuardVerdict.UNCLEAR


def line_model(folder: Path, name: str, noise: float = 0.0) -> Path:
    """x: f32 1x3x?: each column by itself."""
    random = np.random.default_rng(2)
    x = op.parameter([1, 3, -1], np.float32, name="x")
    weights = random.standard_normal((4, 3, 1)).astype(np.float32)
    weights += np.float32(noise) * random.standard_normal((4, 3, 1)).astype(np.float32)
    y = op.convolution(x, op.constant(weights), [1], [0], [0], [1])
    model = ov.Model([op.sigmoid(y)], [x], name)
    model.inputs[0].get_tensor().set_names({"x"})
    model.outputs[0].get_tensor().set_names({"y"})
    path = folder / f"{name}.xml"
    ov.save_model(model, path, compress_to_fp16=False)
    return path


@pytest.mark.parametrize("plan", ["dynamic", "bounded", "padded", "buckets:4|8|12", "buckets:4|8"])
def test_each_item_of_a_mix_is_held_to_its_own_answer(
    core: ov.Core, tmp_path: Path, plan: str
) -> None:
    """In its own shape, whatever it is padded to; what no bucket takes is left out."""
    random = np.random.default_rng(5)
    names = []
    for width in (4, 8, 12):
        np.save(tmp_path / f"w{width}.npy", random.random((10, 3, width), dtype=np.float32))
        names.append(f"w{width}.npy")
    given, variant = line_model(tmp_path, "given"), line_model(tmp_path, "other", noise=0.5)
    asked = {"inputs": names, "pad": {"value": 0, "axis": 2}}

    def of(path: Path) -> Accuracy:
        served = {"shape_plan": plan}
        return guarded(core, tmp_path, path, {"max_drop": 0.001}, asked=asked, served=served)

    found = of(given)
    assert found.samples == (10 if plan == "buckets:4|8" else 15)
    assert found.drop is not None
    assert found.drop.seen < 1e-6
    assert of(variant).verdict is GuardVerdict.MISSED


def test_nothing_held_out_is_said(core: ov.Core, tmp_path: Path) -> None:
    """One sample is for calibration, and none is left."""
    np.save(tmp_path / "one.npy", np.ones((1, 3, 4), np.float32))
    given = line_model(tmp_path, "given")
    with pytest.raises(DataError, match="no held-out sample is left"):
        guarded(core, tmp_path, given, asked={"inputs": "one.npy"})


def test_what_is_said_of_samples_holds_for_those_of_the_guard() -> None:
    """A mix of random data keeps its shapes; that of inputs is theirs."""
    spec = AccuracySpec()
    mixed = WorkloadSpec.model_validate({"shapes": [{"shape": "1,3,4"}, {"shape": "1,3,6"}]})
    guard = spec.within(Path(), mixed, None)
    assert guard is not None
    assert isinstance(guard.asked, Workload)
    assert [one[""] for one in guard.asked.shapes] == [(1, 3, 4), (1, 3, 6)]


def test_the_model_is_asked_once_for_all_that_is_held_to_it(tmp_path: Path) -> None:
    """Kept answers are those that were given; of other samples it is asked again."""
    samples, asked = tmp_path / "s.npz", []

    def ask(count: int) -> Callable[[], list[Any]]:
        def answers() -> list[Any]:
            asked.append(count)
            return [{"y": np.full((n, 2), n, np.float32), "z": np.array(n)} for n in range(count)]

        return answers

    first = given_answers(samples, [1, 3, 5], ask(3))
    again = given_answers(samples, [5, 1], ask(2))
    assert asked == [3]
    for one, other in ((again[0], first[2]), (again[1], first[0])):
        assert list(one) == list(other) == ["y", "z"]
        assert all(np.array_equal(one[name], other[name]) for name in one)
    given_answers(samples, [2], ask(1))
    assert asked == [3, 1]
    for spoilt in (b"", b"PK\x03\x04"):
        (tmp_path / "s.npz.answers.npz").write_bytes(spoilt)
        given_answers(samples, [2], ask(1))
    assert asked == [3, 1, 1, 1]
    forget_answers(samples)
    given_answers(samples, [2], ask(1))
    assert asked == [3, 1, 1, 1, 1]


def numbers(count: int, **said: Any) -> tuple[Sequence[int], Sequence[int]]:
    """Held-out samples, and those that calibration may see."""
    guard = AccuracySpec.model_validate(said).within(Path(__file__).parent, WorkloadSpec(), None)
    assert guard is not None
    return guard.held(count), guard.calibrating(count)


def test_calibration_sees_nothing_that_is_held_out() -> None:
    """Of any number of samples."""
    for count in (0, 1, 2, 3, 10, 4001):
        held, seen = numbers(count, samples=700)
        assert not set(held) & set(seen)
        assert len(held) <= 700
