"""Which source the words of a study mean."""

import os
from pathlib import Path

import pytest

from autotune.errors import SourceError
from autotune.workload.inputs import Inputs, Source
from autotune.workload.listing import SUFFIXES
from autotune.workload.locate import inputs_of, resolve, seen_from


@pytest.fixture
def study(tmp_path: Path) -> Path:
    """A folder with one of each; contents do not matter here."""
    for name in (
        "a.npz",
        "b.NPY",
        "lines.txt",
        "words.csv",
        "photos/a.jpg",
        "photos/README",
        "photos/.x.wav",
        "tones/a.wav",
        "rows/2.npz",
        "both/a.png",
        "both/a.wav",
        "none/README",
        "none/deep/a.png",
        "samples.py",
        "pack/near.py",
        "pack/__init__.py",
        "pack/deep/__init__.py",
        "pack/deep/far.py",
        "other/loose.py",
        "data:v2.npz",
        "odd:name",
        "my:code.py",
        "readme.md",
    ):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


@pytest.mark.parametrize(
    ("said", "source"),
    [
        ("a.npz", Source.ARRAYS),
        ("./b.NPY", Source.ARRAYS),
        (["a.npz", "rows/2.npz"], Source.ARRAYS),
        ("rows", Source.ARRAYS),
        ("data:v2.npz", Source.ARRAYS),
        ("photos", Source.IMAGES),
        ("photos/", Source.IMAGES),
        ("pack/../photos", Source.IMAGES),
        (["photos/a.jpg"], Source.IMAGES),
        ("tones", Source.SOUNDS),
        ("samples:f", Source.FUNCTION),
        ("samples.py:f", Source.FUNCTION),
        ("pack.near:f", Source.FUNCTION),
        ("pack:f", Source.FUNCTION),
        ("my:code.py:f", Source.FUNCTION),
    ],
)
def test_what_a_path_is_says_its_source(said: str | list[str], source: Source, study: Path) -> None:
    """All paths absolute, and back from their dictionary."""
    found = inputs_of(said, study, most=7)
    assert found.source is source
    assert found.most == 7
    paths = [*found.files, *filter(None, [found.function_file])]
    assert paths
    assert all(path.is_absolute() and path.exists() for path in paths)
    assert found.runs_code == (source is Source.FUNCTION)
    assert found.folder == (study if found.runs_code else None)
    assert Inputs.from_dict(found.to_dict()) == found


@pytest.mark.parametrize("said", ["lines.txt", "words.csv", ["lines.txt", "readme.md"], "odd:name"])
def test_any_file_is_text_for_a_tokenizer(said: str | list[str], study: Path) -> None:
    """Whose file and function are found likewise."""
    found = inputs_of(said, study, tokenizer="pack.near:encode")
    assert found.source is Source.TEXT
    assert (found.function, found.function_file) == ("encode", study / "pack" / "near.py")
    assert found.folder == study


@pytest.mark.parametrize("suffix", sorted(set().union(*SUFFIXES.values())))
def test_every_ending_is_of_one_source(suffix: str, tmp_path: Path) -> None:
    """As a file, and in a folder."""
    (tmp_path / "d").mkdir()
    file = tmp_path / "d" / f"a{suffix}"
    file.touch()
    (source,) = [one for one, suffixes in SUFFIXES.items() if suffix in suffixes]
    if source is not Source.TEXT:
        assert inputs_of(f"d/a{suffix}", tmp_path).source is source
        assert inputs_of("d", tmp_path).source is source


@pytest.mark.parametrize(
    ("said", "tokenizer", "words"),
    [
        ("absent.npz", None, "absent.npz: no such file or folder"),
        ("a.npz/b.npz", None, "b.npz: no such file or folder"),
        ("absent/x.npz", None, "no such file or folder"),
        ("readme.md", None, "readme.md: its ending says no kind of data; inputs are .npz or"),
        ("lines.txt", None, 'lines.txt: text needs a tokenizer; write tokenizer = "module:func'),
        ("both", None, "both: has files 1 for images and 1 for sounds; put them into a folder e"),
        ("none", None, "none: has no pictures, .wav, .npz or .npy files, but README, deep"),
        (["a.npz", "lines.txt"], None, "a.npz is for arrays, "),
        (["a.npz", "photos"], None, "give files of one kind"),
        (["samples:f", "a.npz"], None, "samples:f: no such file or folder; a function is writt"),
        ("photos", "samples:f", "photos: a tokenizer is for files of text, not a folder"),
        ("a.npz", "samples:f", "a.npz: a tokenizer is for files of text, and this is for arrays"),
        ("samples:f", "samples:f", "samples:f: a tokenizer is for files of text, not a function"),
        ("lines.txt", "samples", "samples: is no function; write module:function"),
        ("lines.txt", "absent:f", "absent.py: no such file; 'absent:f' is looked for in"),
        ("absent:f", None, "absent.py: no such file; 'absent:f' is looked for in"),
        ("absent.py:f", None, "absent.py: no such file"),
        ("photos.py:f", None, "photos.py: no such file"),
        ("none:f", None, "none.py: no such file"),
        ("a-b:f", None, "'a-b' is no module's name; write module:function, or file.py:function"),
        ("data/x.npz:f", None, "is no module's name"),
        ("samples:f()", None, "samples:f(): no such file or folder; a function is written as"),
        ("samples:", None, "no such file or folder; a function is written as module:function"),
        (":f", None, ":f: is no function; write module:function"),
        ("", None, "no path is given"),
        ([], None, "no path is given"),
        (["a.npz", " "], None, "no path is given"),
        ("a\0b", None, "no file has such a name"),
        ("x" * 5000, None, "File name too long"),
        ("caf\udce9.npz", None, r"caf\xe9.npz: this name is no text"),
    ],
)
def test_what_is_none_is_told_with_what_would_be(
    said: str | list[str], tokenizer: str | None, words: str, study: Path
) -> None:
    """One line, with the file."""
    with pytest.raises(SourceError) as caught:
        inputs_of(said, study, tokenizer=tokenizer)
    message = str(caught.value)
    message.encode()
    assert words.replace(r"caf\xe9", "caf").split("caf")[-1] in message
    assert "\n" not in message


@pytest.mark.parametrize("most", [0, -1])
def test_at_least_one_sample(most: int, study: Path) -> None:
    """Or there is nothing to measure with."""
    with pytest.raises(SourceError, match="at least 1 is needed"):
        inputs_of("a.npz", study, most=most)


def test_what_would_be_waited_for_is_refused(study: Path) -> None:
    """A pipe is no file, and a folder no module."""
    os.mkfifo(study / "pipe.npz")
    os.mkfifo(study / "pipe.py")
    (study / "folder.py").mkdir()
    with pytest.raises(SourceError, match=r"pipe.npz: is no regular file"):
        inputs_of("pipe.npz", study)
    for name in ("pipe", "folder"):
        with pytest.raises(SourceError, match=rf"{name}.py: is no regular file"):
            inputs_of(f"{name}.py:f", study)


def test_a_function_is_where_it_is_said_to_be(study: Path) -> None:
    """From the study's folder on, whatever the current one; links lead on."""
    (study / "link.py").symlink_to("samples.py")
    assert resolve("link.py:f", study) == (study / "link.py", "f")
    assert resolve(f"{study}/samples.py:f", Path("/nowhere")) == (study / "samples.py", "f")
    assert resolve(" pack.near : f ".replace(" ", ""), study) == (study / "pack" / "near.py", "f")
    with pytest.raises(SourceError, match="no such file"):
        resolve("samples:f", study / "pack")


@pytest.mark.parametrize(
    ("said", "home"),
    [
        ("samples:f", "."),
        ("samples.py:f", "."),
        ("pack:f", "."),
        ("pack.near:f", "."),
        ("pack/near.py:f", "."),
        ("pack/__init__.py:f", "."),
        ("pack/deep/far.py:f", "."),
        ("pack.deep.far:f", "."),
        ("other.loose:f", "."),
        ("other/loose.py:f", "other"),
        ("other/../samples.py:f", "other/.."),
    ],
)
def test_the_path_of_a_function_starts_above_its_package(said: str, home: str, study: Path) -> None:
    """Then it is imported as a part of that; a file by itself has its neighbours."""
    found = inputs_of(said, study).folder
    assert found is not None
    assert found.resolve() == (study / home).resolve()


@pytest.mark.parametrize(
    ("said", "seen"),
    [
        ("a.npz", "../a.npz"),
        ("absent.npz", "../absent.npz"),
        ("data:v2.npz", "../data:v2.npz"),
        ("samples:f", "../samples.py:f"),
        ("samples.py:f", "../samples.py:f"),
        ("pack:f", "../pack/__init__.py:f"),
        ("pack.near:f", "../pack/near.py:f"),
        ("pack.deep:f", "../pack/deep/__init__.py:f"),
        ("pack.deep.far:f", "../pack/deep/far.py:f"),
        ("my:code.py:f", "../my:code.py:f"),
    ],
)
def test_words_mean_the_same_from_another_folder(said: str, seen: str, study: Path) -> None:
    """Files and functions, packages among them; what is nowhere is still named."""
    target = study / "elsewhere"
    target.mkdir()
    assert seen_from(said, study, target) == seen
    if "absent" not in said:
        there, here = inputs_of(seen, target), inputs_of(said, study)
        assert [one.resolve() for one in there.files] == [one.resolve() for one in here.files]
        assert there.function == here.function
        if here.function_file is not None:
            assert there.function_file is not None
            assert there.function_file.resolve() == here.function_file.resolve()
    assert seen_from("absent.near:f", study, target) == "../absent/near.py:f"
    assert seen_from("absent.py:f", study, target) == "../absent.py:f"
