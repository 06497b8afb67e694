"""Samples that the study's own code gives, and what that code may not do to us."""

import json
import os
import re
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from autotune.errors import SourceError
from autotune.workload.gathered import Gathered
from autotune.workload.inputs import Source
from autotune.workload.ports import PortFacts
from autotune.workload.sources import read
from tests.workload.builders import of_code, of_text, port

TWO = [port("ids", dtype=np.int64), port("mask", dtype=np.int64)]


def samples(folder: Path, code: str, ports: Any = (), **more: Any) -> Gathered:
    """What is read of a function `f` in this code."""
    return read(of_code(folder, code, **more), ports or [port()])


def fault(folder: Path, code: str, ports: Any = (), **more: Any) -> str:
    """What is said of a function that gives nothing usable."""
    with pytest.raises(SourceError) as caught:
        samples(folder, code, ports, **more)
    assert "\n" not in str(caught.value)
    return str(caught.value)


GOOD = {
    "generator": "def f():\n    for i in range(3):\n        yield {'x': np.full((1, 2), i)}",
    "list": "def f():\n    return [{'x': [[i, i]]} for i in range(3)]",
    "tuple of tuples": "def f():\n    return tuple({'x': ((i, i),)} for i in range(3))",
    "arrays of the only input": "def f():\n    return [np.full((1, 2), i) for i in range(3)]",
    "one array of all": "def f():\n    return np.arange(3)[:, None, None].repeat(2, axis=2)",
    "map": "def f():\n    return map(lambda i: [[i, i]], range(3))",
    "callable object": (
        "class F:\n    def __call__(self):\n"
        "        return ({'x': [[i, i]]} for i in range(3))\nf = F()"
    ),
    "mapping of its own": (
        "from collections import UserDict\n"
        "def f():\n    return [UserDict(x=np.full((1, 2), i)) for i in range(3)]"
    ),
    "the same array again": (
        "def f():\n    a = np.zeros((1, 2))\n"
        "    for i in range(3):\n        a[:] = i\n        yield {'x': a}"
    ),
    "options with defaults": "def f(count=3):\n    return [[[i, i]] for i in range(count)]",
}


@pytest.mark.parametrize("name", GOOD)
def test_what_can_be_iterated_gives_samples(name: str, tmp_path: Path) -> None:
    """As arrays of their own, whoever else writes into what was yielded."""
    found = samples(tmp_path, f"import numpy as np\n{GOOD[name]}\n")
    assert [one["x"].tolist() for one in found.samples] == [[[i, i]] for i in range(3)]
    assert found.names == ["sample 1", "sample 2", "sample 3"]
    assert found.notes == []


VALUES: dict[str, tuple[str, Any]] = {
    "number": ("7", 7),
    "boolean": ("True", True),
    "text": ("'a'", "a"),
    "texts": ("['a', 'bc']", ["a", "bc"]),
    "texts as objects": ("np.array(['a', 'bc'], object)", ["a", "bc"]),
    "nothing": ("[]", []),
    "f16": ("np.ones(2, 'f2')", [1, 1]),
    "turned": ("np.arange(6).reshape(2, 3).T", [[0, 3], [1, 4], [2, 5]]),
}


@pytest.mark.parametrize("name", VALUES)
def test_values_become_arrays(name: str, tmp_path: Path) -> None:
    """Of Python's numbers, lists and texts, too."""
    code, known = VALUES[name]
    found = samples(tmp_path, f"import numpy as np\ndef f():\n    yield {{'x': {code}}}\n")
    assert found.samples[0]["x"].tolist() == known
    assert found.samples[0]["x"].flags.c_contiguous


NO_VALUES = {
    "ragged": ("[[1, 2], [3]]", "is a list that makes no array: ValueError"),
    "None": ("None", "is None"),
    "set": ("{1, 2}", "is a set"),
    "dictionary": ("{'a': 1}", "is a dict"),
    "function": ("f", "is a function"),
    "complex": ("1j", "is an array of complex128"),
    "date": ("np.datetime64('2020-01-01')", r"is an array of datetime64\[D\]"),
    "objects": ("[1, None]", r"is an array of Python objects \(NoneType, int\)"),
    "too large": ("[2**70]", r"is an array of Python objects \(int\)"),
    "raises": ("Raising()", "is a Raising that makes no array: RuntimeError: no array today"),
}


@pytest.mark.parametrize("name", NO_VALUES)
def test_what_is_no_array_is_named_with_its_sample(name: str, tmp_path: Path) -> None:
    """And with the input."""
    code, words = NO_VALUES[name]
    said = fault(
        tmp_path,
        "import numpy as np\n"
        "class Raising:\n    def __array__(self, *a, **k):\n"
        "        raise RuntimeError('no array today')\n"
        f"def f():\n    yield {{'x': 1}}\n    yield {{'x': {code}}}\n",
    )
    assert said.startswith("sample 2 of samples.py:f: 'x' is ")
    assert re.search(words, said)


@pytest.mark.parametrize(
    ("code", "words"),
    [
        ("yield {'ids': [1]}", "sample 1 of samples.py:f has no 'mask'; it has 'ids'; the model "),
        ("yield {}", "has no 'ids'; it has nothing; the model takes ids, mask"),
        ("yield [1, 2]", "is a list; give a dictionary with an array for each input: ids, mask"),
        ("yield None", "sample 1 of samples.py:f is None; give a dictionary"),
    ],
)
def test_samples_without_an_input_are_named(code: str, words: str, tmp_path: Path) -> None:
    """What it has, and what the model takes."""
    assert words in fault(tmp_path, f"def f():\n    {code}\n", TWO)


def test_what_the_model_does_not_take_is_said_and_not_used(tmp_path: Path) -> None:
    """Tokenizers give more than every model takes."""
    found = samples(tmp_path, "def f():\n    yield {'ids': [1], 'mask': [1], 'types': [0]}\n", TWO)
    assert list(found.samples[0]) == ["ids", "mask"]
    assert found.notes == ["not used: 'types'; the model takes ids, mask"]


RAISING = {
    "exception": ("raise ValueError('bad\\nthing')", "raised ValueError: bad"),
    "no words": ("raise ValueError", "raised ValueError"),
    "long words": ("raise ValueError('x' * 10000)", "raised ValueError: xxx"),
    "exit": ("import sys; sys.exit(3)", "left with sys.exit(3)"),
    "exit with words": ("raise SystemExit('usage:\\nso')", "left with sys.exit('usage:"),
    "interrupt": ("raise KeyboardInterrupt", "raised KeyboardInterrupt"),
    "end of generator": ("raise GeneratorExit", "raised GeneratorExit"),
    "stop": ("raise StopIteration", "raised "),  # within a generator it becomes a RuntimeError
    "base": ("raise BaseException('x')", "raised BaseException: x"),
    "recursion": ("g = lambda: g(); g()", "raised RecursionError: maximum recursion depth"),
    "memory": ("bytearray(2**62)", "ran out of the memory that it may take"),
    "input": ("input()", "raised EOFError"),
    "group": ("raise ExceptionGroup('all', [ValueError(1)])", "raised ExceptionGroup: all (1 "),
    "absent module": ("import no_such_thing", "needs the module 'no_such_thing', which is"),
    "absent name": ("from json import no_such_thing", "raised ImportError: cannot import name"),
    "strange": (
        "raise type('E', (Exception,), {'__str__': lambda self: 1 / 0})",
        "raised E",
    ),
    "strange exit": (
        "raise SystemExit(type('E', (), {'__repr__': lambda self: 1 / 0})())",
        "left with sys.exit()",
    ),
    "surrogate": ("raise ValueError('caf\\udce9')", "raised ValueError: caf"),
}
WHEN = {
    "called": "def f():\n    global g\n    {}\n",
    "yielding": "def f():\n    global g\n    {}\n    yield\n",
    "importing": "if True:\n    0\n    {}\n",
    "tokenizing": "def f(line):\n    global g\n    {}\n",
}


@pytest.mark.parametrize("name", RAISING)
@pytest.mark.parametrize("when", WHEN)
def test_whatever_it_raises_is_one_line(
    name: str, when: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """With the line of the code; the traceback is in the log, which stderr is."""
    code, words = RAISING[name]
    code = WHEN[when].format(code)
    if when == "tokenizing":
        with pytest.raises(SourceError) as caught:
            read(of_text(tmp_path, "one line\n", code), [port()])
        said, label, file = str(caught.value), "tok.py:f for lines.txt, line 1", "tok.py"
    else:
        said, file = fault(tmp_path, code), "samples.py"
        label = file if when == "importing" else f"{file}:f"
    assert said.startswith(f"{label} {words}")
    assert f"(line 3 of {file}); " in said
    assert len(said) < 600
    assert "\n" not in said
    said.encode()
    if "strange" not in name:
        assert "Traceback (most recent call last)" in capsys.readouterr().err


NO_FUNCTION = {
    "absent": ("def g(): pass\ndef _h(): pass\n", "has no function 'f'; it has g"),
    "none at all": ("", "has no function 'f'; it has none"),
    "number": ("f = 3\n", "samples.py:f is no function, but a int"),
    "async": ("async def f():\n    return []\n", "samples.py:f is async"),
    "async generator": ("async def f():\n    yield 1\n", "samples.py:f is async"),
    "parameters": ("def f(path):\n    return []\n", "is called with nothing, and takes (path)"),
    "keyword": ("def f(*, path):\n    return []\n", "is called with nothing, and takes (*, path)"),
    "nothing": ("def f():\n    pass\n", "samples.py:f returned nothing; yield a dictionary for"),
    "number given": ("def f():\n    return 3\n", "samples.py:f returned a int; yield a"),
    "text given": ("def f():\n    return 'abc'\n", "samples.py:f returned a str; yield a"),
    "one sample": ("def f():\n    return {'x': 1}\n", "samples.py:f returned a dict; yield a"),
    "no samples": ("def f():\n    return []\n", "samples.py:f gives no samples"),
    "no yield": ("def f():\n    if False:\n        yield\n", "samples.py:f gives no samples"),
    "syntax": ("def f(:\n    pass\n", "raised SyntaxError: invalid syntax (samples.py, line 1)"),
    "null": ("def f(): pass\0\n", "samples.py raised SyntaxError"),
    "coding": ("# coding: klingon\ndef f(): pass\n", "samples.py raised SyntaxError"),
}


@pytest.mark.parametrize("name", NO_FUNCTION)
def test_what_is_no_function_of_samples_is_told_with_a_way_out(name: str, tmp_path: Path) -> None:
    """Each in words of its own."""
    code, words = NO_FUNCTION[name]
    assert words in fault(tmp_path, code)


def test_a_file_that_is_gone_is_named(tmp_path: Path) -> None:
    """Nothing is opened that one would wait for."""
    made = of_code(tmp_path, "")
    assert made.function_file is not None
    made.function_file.unlink()
    with pytest.raises(SourceError, match=r"samples.py: no such file"):
        read(made, [port()])
    os.mkfifo(made.function_file)
    with pytest.raises(SourceError, match=r"samples.py: it is no regular file"):
        read(made, [port()])


def test_no_more_is_asked_for_than_is_used(tmp_path: Path) -> None:
    """A generator may be endless, and is closed."""
    code = """
import itertools
from pathlib import Path
def f():
    try:
        for i in itertools.count():
            Path("asked").write_text(str(i))
            yield [i]
    finally:
        Path("closed").touch()
"""
    found = samples(tmp_path, code, most=5)
    assert len(found.samples) == 5
    assert (tmp_path / "asked").read_text() == "4"
    assert (tmp_path / "closed").exists()
    assert found.notes == ["the first 5 samples of samples.py:f are used"]
    found = samples(tmp_path, "def f():\n    return [[i] for i in range(1000)]\n", most=5)
    assert found.notes == ["5 of 1,000 samples are used"]
    for one in ("[[i] for i in range(5)]", "[[i] for i in range(4)]"):
        assert samples(tmp_path, f"def f():\n    return {one}\n", most=5).notes == []


def test_a_generator_that_will_not_end_has_given_its_samples(tmp_path: Path) -> None:
    """What it raises when it is closed is in the log."""
    code = """
def f():
    yield [1]
    try:
        yield [2]
    except GeneratorExit:
        yield [3]
"""
    assert len(samples(tmp_path, code, most=2).samples) == 2


def surroundings() -> dict[str, Any]:
    """What code of the study's could have changed of this process."""
    return {
        "path": list(sys.path),
        "hooks": list(sys.path_hooks),
        "folder": Path.cwd(),
        "stdin": sys.stdin,
        "stdout": sys.stdout,
        "json": sys.modules["json"],
        "numpy": sys.modules["numpy"],
        "is dumb": "helpers" in sys.modules,
        "cache": [key for key in sys.path_importer_cache if "helpers" in key],
        "fd 0": os.fstat(0).st_ino,
    }


@pytest.mark.parametrize("end", ["", "raise ValueError('x')"])
def test_its_surroundings_are_put_back(end: str, tmp_path: Path) -> None:
    """Whether it came to its end or not."""
    (tmp_path / "helpers").mkdir()
    (tmp_path / "helpers" / "__init__.py").write_text("from . import more\n")
    (tmp_path / "helpers" / "more.py").write_text("")
    (tmp_path / "elsewhere").mkdir()
    code = f"""
import os, sys
import helpers, helpers.more
def f():
    assert os.getcwd() == os.path.dirname(__file__)
    assert sys.path[-1] == os.path.dirname(__file__)
    os.chdir("elsewhere")
    sys.path.insert(0, "/elsewhere")
    sys.modules["json"] = None
    del sys.modules["numpy"]
    sys.stdout = sys.stdin = None
    sys.modules["helpers.x"] = object()
    yield [1]
    {end}
"""
    before = surroundings()
    if end:
        fault(tmp_path, code)
    else:
        samples(tmp_path, code)
    assert surroundings() == before
    assert not any(name.startswith(("helpers", "_study")) for name in sys.modules)


def test_modules_beside_it_do_not_hide_ours(tmp_path: Path) -> None:
    """Named like the standard library's, or like packages that we import later."""
    for name in ("json", "numpy", "colorsys", "sndhdr", "wave", "PIL"):
        (tmp_path / f"{name}.py").write_text("raise SystemExit('hidden')\n")
    sys.modules.pop("colorsys", None)
    code = """
import colorsys, json, numpy
def f():
    colorsys.rgb_to_hls(0, 0, 0)
    yield numpy.array(json.loads("[1, 2]"))
"""
    assert samples(tmp_path, code, name="json.py").samples[0]["x"].tolist() == [1, 2]
    assert json.loads("1") == 1
    assert sys.modules["json"] is json


def test_what_lies_beside_it_is_found(tmp_path: Path) -> None:
    """Modules, packages, neighbours by relative import, data by relative paths."""
    (tmp_path / "beside.py").write_text("VALUE = 3\n")
    (tmp_path / "data.txt").write_text("4")
    (tmp_path / "pack" / "deep").mkdir(parents=True)
    for name in ("pack/__init__.py", "pack/deep/__init__.py"):
        (tmp_path / name).write_text("")
    (tmp_path / "pack" / "near.py").write_text("VALUE = 5\n")
    code = """
from dataclasses import dataclass
from pathlib import Path
import beside
from .. import near
@dataclass
class Point:
    x: "int"
def f():
    yield [beside.VALUE, int(Path("data.txt").read_text()), near.VALUE, Point(6).x]
"""
    found = samples(tmp_path, code, name="pack/deep/samples.py")
    assert found.samples[0]["x"].tolist() == [3, 4, 5, 6]
    assert not list(tmp_path.rglob("__pycache__")) or not sys.dont_write_bytecode


def test_the_source_runs_and_not_what_was_compiled_of_another(tmp_path: Path) -> None:
    """Compiled code that came with a study is not what was read and trusted."""
    import importlib.util
    import py_compile

    for name in ("samples", "beside"):
        file = tmp_path / f"{name}.py"
        file.write_text("VALUE = 'bad'\ndef f():\n    yield [0, 0]\n")
        cached = py_compile.compile(str(file), doraise=True)
        assert cached == importlib.util.cache_from_source(str(file))
    stamp = (tmp_path / "beside.py").stat()
    (tmp_path / "beside.py").write_text("VALUE = 'xyz'\ndef f():\n    yield [0, 0]\n")
    os.utime(tmp_path / "beside.py", ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    code = "import beside\ndef f():\n    yield [beside.VALUE == 'xyz']\n"
    assert samples(tmp_path, code).samples[0]["x"].tolist() == [True]


def test_what_it_prints_is_in_the_log(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And nothing of it among results."""
    samples(tmp_path, "print('imported')\ndef f():\n    print('called')\n    yield [1]\n")
    caught = capsys.readouterr()
    assert caught.out == ""
    assert caught.err == "imported\ncalled\n"


def test_the_line_is_that_of_the_studys_own_code(tmp_path: Path) -> None:
    """Not the innermost one, which is NumPy's, and also where a neighbour raised it."""
    (tmp_path / "near.py").write_text(
        "\n\n\nimport numpy as np\ndef g():\n    np.ones((2, 3)).reshape(4)\n"
    )
    said = fault(tmp_path, "import near\ndef f():\n    near.g()\n")
    assert "(line 6 of near.py)" in said
    made = of_code(tmp_path / "elsewhere", "def f():\n    1 / 0\n")
    apart = type(made)(
        source=made.source,
        function="f",
        function_file=made.function_file,
        folder=tmp_path / "study",
    )
    (tmp_path / "study").mkdir()
    with pytest.raises(SourceError, match=r"line 2 of samples.py"):
        read(apart, [port()])


# ------------------------------------------------------------------------------------------- text

ENCODE = """
def f(line):
    ids = [len(word) for word in line.split()]
    return {'ids': ids, 'mask': [1] * len(ids)}
"""


def text(
    folder: Path, content: str | bytes, ports: list[PortFacts] | None = None, **more: Any
) -> Gathered:
    """What is read of these lines."""
    return read(of_text(folder, content, **{"code": ENCODE, **more}), ports or TWO)


def test_every_line_is_a_sample(tmp_path: Path) -> None:
    """Without what ends it; empty ones are none, and others keep their numbers."""
    found = text(tmp_path, "\ufeffa bb\r\n\n  \nccc\u2028d\n\tx y z")
    assert [one["ids"].tolist() for one in found.samples] == [[1, 2], [3, 1], [1, 1, 1]]
    assert found.names == ["lines.txt, line 1", "lines.txt, line 4", "lines.txt, line 5"]
    found = text(tmp_path, "a\nb\nc\n", most=2)
    assert found.notes == ["the first 2 lines are used"]
    assert text(tmp_path, "a\nb\n", most=2).notes == []
    found = text(tmp_path, b"a\nb\ncaf\xe9\n", most=2)  # the broken one is not used
    assert found.notes == ["the first 2 lines are used"]
    assert len(found.samples) == 2


def test_a_list_does_for_the_only_input(tmp_path: Path) -> None:
    """As tokenizers give token ids."""
    code = "def f(line):\n    return [ord(c) for c in line]\n"
    (sample,) = text(tmp_path, "ab", [port("ids")], code=code).samples
    assert sample["ids"].tolist() == [97, 98]


@pytest.mark.parametrize(
    ("content", "code", "words"),
    [
        (b"fine\ncaf\xe9\n", ENCODE, "lines.txt: line 2 is no UTF-8 text"),
        ("", ENCODE, "lines.txt: has no lines of text"),
        ("\n \n", ENCODE, "lines.txt: has no lines of text"),
        ("a\n", "def f():\n    pass\n", "tok.py:f is called with one line of text, and takes ()"),
        ("a\n", "def f(line):\n    pass\n", "what tok.py:f gives for lines.txt, line 1 is None"),
        ("a\n", "def f(line):\n    return {'ids': [1]}\n", "line 1 has no 'mask'; it has 'ids'"),
        ("a\n", "def f(line):\n    return {'ids': [1], 'mask': [[1], 2]}\n", "'mask' is a list"),
    ],
)
def test_what_is_no_text_or_no_tokenizer_is_told(
    content: str | bytes, code: str, words: str, tmp_path: Path
) -> None:
    """With the file and the line."""
    with pytest.raises(SourceError) as caught:
        text(tmp_path, content, code=code)
    assert words in str(caught.value)
    assert "\n" not in str(caught.value)


def test_text_that_is_gone(tmp_path: Path) -> None:
    """Is named."""
    made = of_text(tmp_path, "a\n", ENCODE)
    made.files[0].unlink()
    assert made.source is Source.TEXT
    with pytest.raises(SourceError, match=r"lines.txt: cannot be read: no such file"):
        read(made, TWO)
