"""The example models on their data: they see, read and hear what is there."""

import re
import wave
from collections.abc import Callable
from itertools import groupby, pairwise
from pathlib import Path
from typing import Any

import numpy as np
import openvino as ov
import pytest
from numpy.typing import NDArray
from PIL import Image

from tests.studies.scripts import STUDIES, load

pytestmark = pytest.mark.openvino

Data = Callable[[str], Path]
Floats = NDArray[np.float32]
MODELS = STUDIES / "models"


def compiled(name: str, **properties: Any) -> Any:
    """A model in f32."""
    properties = {"INFERENCE_PRECISION_HINT": "f32"} | properties
    return ov.compile_model(MODELS / name, "CPU", properties)


def answer(model: Any, inputs: Any) -> Floats:
    """The first output for some inputs, as a copy."""
    found: Floats = model(inputs)[0].copy()
    return found


def edits(left: str, right: str) -> int:
    """Characters to be put in, taken out or changed, to make one text of another."""
    row = list(range(len(right) + 1))
    for at, one in enumerate(left, 1):
        before, row[0] = row[:], at
        for to, other in enumerate(right, 1):
            row[to] = min(before[to - 1] + (one != other), before[to] + 1, row[to - 1] + 1)
    return row[-1]


def test_the_recogniser_reads_the_lines(data_of: Data) -> None:
    """Of 100 characters at least 96; blanks do not count, which it also sees behind a line."""
    model = ov.Core().read_model(MODELS / "recogniser.onnx")
    listed = str(model.get_rt_info(["framework", "character"]).astype(str)).split("\n")
    characters = ["", *listed, " "]
    reader = ov.compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    wrong = total = 0
    for path in sorted(data_of("lines").glob("*.npz")):
        texts = path.with_suffix(".txt").read_text().splitlines()
        for x, text in zip(np.load(path)["x"], texts, strict=True):
            best = answer(reader, x[None])[0].argmax(-1)
            read = "".join(characters[one] for one, _ in groupby(best))
            wrong += edits(read.replace(" ", ""), text.replace(" ", ""))
            total += len(text.replace(" ", ""))
    assert total > 1000
    assert wrong / total < 0.04


def test_the_metric_of_the_reader_counts_lines_that_are_read_right(
    data_of: Data, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two of three at least; none where answers are of other lines."""
    (tmp_path / "study").mkdir()
    (tmp_path / "study" / "data").symlink_to(data_of("reader"))
    (tmp_path / "models").symlink_to(MODELS)
    monkeypatch.chdir(tmp_path / "study")
    pages, metric = load("reader/pages.py"), load("reader/metric.py")
    texts = (data_of("reader") / "lines.txt").read_text().splitlines()[:40]
    reader = compiled("recogniser.onnx")
    outputs = [
        {"y": answer(reader, one["x"])} for one, _ in zip(pages.lines(), texts, strict=False)
    ]
    samples = [{"label": np.array(text)} for text in texts]
    assert len(outputs) == len(texts) == 40
    assert sum(metric.right(outputs, samples)) > 26
    assert sum(metric.right(outputs[1:] + outputs[:1], samples)) == 0


def test_the_detector_finds_signs_and_pages(data_of: Data) -> None:
    """In every picture with text, and nothing in those that are known to have none."""
    detector = compiled("detector.onnx")
    for number, path in enumerate(sorted((data_of("photos") / "photos").iterdir())):
        with Image.open(path) as image:
            small = np.asarray(image.resize((320, 320), Image.Resampling.BILINEAR), np.float32)
        x = (small[None, ..., ::-1].transpose(0, 3, 1, 2) - 127.5) / 127.5
        text = (answer(detector, x) > 0.3).mean()
        if number < 20:
            assert text > 0.003, path
        elif "600x400" not in path.name:  # the cup is taken for a letter
            assert text < 0.001, path


def test_the_detector_finds_text_in_every_frame(data_of: Data) -> None:
    """On signs and pages."""
    detector = compiled("detector.onnx")
    for path in sorted((data_of("frames") / "frames").iterdir()):
        with Image.open(path) as image:
            small = np.asarray(image.resize((320, 320), Image.Resampling.BILINEAR), np.float32)
        x = (small[None, ..., ::-1].transpose(0, 3, 1, 2) - 127.5) / 127.5
        assert (answer(detector, x) > 0.3).mean() > 0.003, path


def test_every_cut_is_a_face(data_of: Data) -> None:
    """To the landmark model, which sees none in a cup."""
    model = compiled("landmarks.tflite")

    def score(path: Path) -> float:
        with Image.open(path) as image:
            small = image.convert("RGB").resize((192, 192), Image.Resampling.BILINEAR)
        x = np.asarray(small, np.float32)[None] / 255
        return float(1 / (1 + np.exp(-model(x)["conv2d_30"].item())))

    assert min(map(score, (data_of("landmarks") / "faces").iterdir())) > 0.9
    assert score(STUDIES / "sources" / "coffee.png") < 0.1


@pytest.fixture
def pieces(data_of: Data, monkeypatch: pytest.MonkeyPatch) -> list[dict[str, Floats]]:
    """The stream of the study, as its function yields it."""
    samples = load("vad/samples.py")
    monkeypatch.setattr(samples, "DATA", data_of("vad"))
    return list(samples.chunks())


def test_a_piece_begins_with_the_end_of_the_one_before(
    pieces: list[dict[str, Floats]], data_of: Data
) -> None:
    """512 new values each, none of them twice or left out within a file."""
    with wave.open(str(data_of("vad") / "1-speech.wav")) as file:
        values = np.frombuffer(file.readframes(file.getnframes()), "<i2") / 2**15
    count = len(values) // 512
    assert all(piece["input"].shape == (1, 576) for piece in pieces)
    assert all(piece["input"].dtype == np.float32 for piece in pieces)
    new = np.concatenate([piece["input"][0, 64:] for piece in pieces[:count]])
    np.testing.assert_array_equal(new, values[: count * 512].astype(np.float32))
    for before, after in pairwise(pieces):
        np.testing.assert_array_equal(before["input"][0, -64:], after["input"][0, :64])


def test_the_state_inside_is_the_state_outside(pieces: list[dict[str, Floats]]) -> None:
    """Of the model that was made stateful, against the original that is handed its state."""
    inside = compiled("vad.xml").create_infer_request()
    outside = compiled("vad.onnx")
    state = np.zeros((2, 1, 128), np.float32)
    inside.reset_state()
    for piece in pieces:
        apart = outside({**piece, "state": state})
        state = apart["stateN"].copy()
        np.testing.assert_allclose(inside.infer(piece)[0], apart["output"], rtol=0, atol=1e-5)
    inside.reset_state()
    first = inside.infer(pieces[0])[0].item()
    assert first == pytest.approx(outside({**pieces[0], "state": 0 * state})["output"].item())


def test_the_detector_hears_who_speaks(pieces: list[dict[str, Floats]]) -> None:
    """Speech at once and beside a machine, and never where nobody speaks."""
    model = compiled("vad.xml").create_infer_request()
    heard = np.array([model.infer(piece)[0].item() for piece in pieces])
    alone, machine, nobody = heard[:319], heard[319:638], heard[638:]
    assert alone[:64].max() > 0.9  # even in the first two seconds
    assert 0.3 < (alone > 0.5).mean() < 0.7  # there are pauses
    assert ((alone > 0.5) == (machine > 0.5)).mean() > 0.9
    assert nobody[8:].max() < 0.3


@pytest.fixture
def encode(data_of: Data, monkeypatch: pytest.MonkeyPatch) -> Callable[[str], dict[str, Any]]:
    """The tokenizer of the study."""
    tokens = load("sentences/tokens.py")
    monkeypatch.setattr(tokens, "VOCABULARY", data_of("sentences") / "vocabulary.txt")
    tokens.vocabulary.cache_clear()
    encoder: Callable[[str], dict[str, Any]] = tokens.encode
    return encoder


@pytest.mark.parametrize(
    ("text", "ids"),
    [
        ("", [101, 102]),
        ("Tokens!", [101, 19204, 2015, 999, 102]),
        ("Don't  stop\tNOW", [101, 2123, 1005, 1056, 2644, 2085, 102]),
        ("naïve Café", [101, 15743, 7668, 102]),
        ("unaffable", [101, 14477, 20961, 3468, 102]),
        ("北京 x", [101, 1781, 1755, 1060, 102]),
        ("a\u200bb \x07c", [101, 11113, 1039, 102]),
        ("x" * 101, [101, 100, 102]),
        ("\U0001f600 ok", [101, 100, 7929, 102]),
    ],
)
def test_texts_become_the_ids_of_bert(
    text: str, ids: list[int], encode: Callable[[str], dict[str, Any]]
) -> None:
    """As the reference tokenizer of the same vocabulary has them."""
    found = encode(text)
    assert found["input_ids"].tolist() == [ids]
    assert set(found) == {"input_ids", "attention_mask", "token_type_ids"}
    assert all(one.dtype == np.int64 and one.shape == (1, len(ids)) for one in found.values())
    assert found["attention_mask"].all()
    assert not found["token_type_ids"].any()


def test_a_long_text_ends_where_the_model_does(encode: Callable[[str], dict[str, Any]]) -> None:
    """With the token that ends every text."""
    ids = encode("word " * 1000)["input_ids"]
    assert ids.shape == (1, 256)
    assert ids[0, -1] == 102


def test_sentences_of_like_meaning_are_near(encode: Callable[[str], dict[str, Any]]) -> None:
    """Nearer than to any other, though they share hardly a word."""
    model = compiled("encoder.onnx")
    pairs = [
        ("A man is playing a guitar on stage.", "Somebody performs music with an instrument."),
        ("The stock market fell on Monday.", "Shares lost value at the beginning of the week."),
        ("A handler receives the exception.", "Errors are caught by the except clause."),
    ]
    means = np.array([answer(model, encode(one))[0].mean(0) for pair in pairs for one in pair])
    means /= np.linalg.norm(means, axis=1, keepdims=True)
    likeness = means @ means.T - 2 * np.eye(6, dtype=np.float32)
    assert likeness.argmax(1).tolist() == [1, 0, 3, 2, 5, 4]


@pytest.mark.parametrize(("group_size", "most"), [(0, 1e-5), (32, 0.02)])
def test_padding_leaves_the_encoder_s_answers_alone(
    group_size: int, most: float, data_of: Data, encode: Callable[[str], dict[str, Any]]
) -> None:
    """Ids, mask and types padded with 0: what the study says is harmless is so.

    Where the plug-in rounds activations to 8 bits in groups of 32, as it does by itself for int8
    weights, a difference in the last digit may become one step of theirs.
    """
    model = compiled("encoder.onnx", DYNAMIC_QUANTIZATION_GROUP_SIZE=group_size)
    for line in (data_of("sentences") / "sentences.txt").read_text().splitlines()[::8]:
        inputs = encode(line)
        alone, count = answer(model, inputs)[0], inputs["input_ids"].shape[1]
        padded = {name: np.pad(one, ((0, 0), (0, 128 - count))) for name, one in inputs.items()}
        far = np.abs(answer(model, padded)[0, :count] - alone).max()
        assert far <= most * np.abs(alone).max()


def test_words_of_a_study_are_known(data_of: Data, encode: Callable[[str], dict[str, Any]]) -> None:
    """The vocabulary is one for this text: no sentence has an unknown piece; lengths differ."""
    text = (data_of("sentences") / "sentences.txt").read_text()
    ids = [encode(line)["input_ids"] for line in text.splitlines()]
    assert not any((one == 100).any() for one in ids)
    assert len({one.shape for one in ids}) > 16
    assert not re.search(r"\s{2}", text)
