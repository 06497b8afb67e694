"""Paths as they were given."""

import os
from pathlib import Path

import pytest

from autotune.domain.paths import absolute, relative, unwritable_name


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A disk with models and studies on it, and links to all of them; the current folder."""
    for folder in ("disk/models/v1", "disk/studies/s", "here"):
        (tmp_path / folder).mkdir(parents=True)
    (tmp_path / "disk/models/v1/m.xml").touch()
    (tmp_path / "disk/models/current").symlink_to("v1")
    (tmp_path / "disk/models/link.xml").symlink_to("v1/m.xml")
    (tmp_path / "here/models").symlink_to("../disk/models")
    (tmp_path / "here/studies").symlink_to("../disk/studies")
    (tmp_path / "here/disk").symlink_to("../disk")
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path


@pytest.mark.parametrize(
    ("given", "wanted"),
    [
        ("models/v1/m.xml", "here/models/v1/m.xml"),
        ("models/current/m.xml", "here/models/current/m.xml"),
        ("models/link.xml", "here/models/link.xml"),
        ("../disk/models/./link.xml", "disk/models/link.xml"),
        # The system goes up from where a link leads to.
        ("models/../studies", "disk/studies"),
        ("models/v1/../link.xml", "here/models/link.xml"),
        ("models/current/../link.xml", "disk/models/link.xml"),
        ("nosuch/../m.xml", "here/m.xml"),
        ("../../" * 40 + "etc", "/etc"),
    ],
)
def test_links_stay_links(tree: Path, given: str, wanted: str) -> None:
    """From the root on, and where the system goes."""
    assert absolute(Path(given)) == tree / wanted
    assert absolute(tree / "here" / given) == tree / wanted


@pytest.mark.parametrize(
    ("model", "folder", "wanted"),
    [
        ("models/v1/m.xml", "studies/s", None),
        ("disk/models/v1/m.xml", "disk/studies/s", "../../models/v1/m.xml"),
        ("disk/models/current/m.xml", "disk/studies/s", "../../models/current/m.xml"),
        ("disk/models/link.xml", "disk/studies/s", "../../models/link.xml"),
        ("disk/models/link.xml", "disk/studies/new", "../../models/link.xml"),
        ("../disk/models/link.xml", "../disk/studies/s", "../../models/link.xml"),
        ("gone.xml", "../disk/studies/s", None),
        ("../disk/models/v1/gone.xml", "../disk/studies/s", "../../models/v1/gone.xml"),
    ],
)
def test_a_relative_path_leads_there(
    tree: Path, model: str, folder: str, wanted: str | None
) -> None:
    """By the system's rules, links kept; and not through a link that both have in front of them."""
    found = relative(Path(model), Path(folder))

    assert wanted in {None, found}
    way = tree / "disk/studies" / Path(folder).name / found
    assert os.path.realpath(way) == os.path.realpath(model)
    assert way.name == Path(model).name


def test_what_was_reached_through_one_link_moves_together(tree: Path) -> None:
    """The way between a study and its model does not depend on how both were reached."""
    found = relative(Path("disk/models/v1/m.xml"), Path("disk/studies/s"))
    (tree / "disk").rename(tree / "another")

    assert (tree / "another/studies/s" / found).is_file()


@pytest.mark.parametrize("name", ["m.xml", "a b/ä/😀.xml", "\n.xml"])
def test_text_is_a_name(name: str) -> None:
    """Whatever can be written as UTF-8."""
    assert unwritable_name(Path(name)) is None


@pytest.mark.parametrize("name", [os.fsdecode(b"mod\xe8le.xml"), "a\0b"])
def test_what_is_no_text_is_no_name(name: str) -> None:
    """It says which, in characters that can be printed."""
    said = unwritable_name(Path(name))

    assert said is not None
    assert said.isprintable()
    assert said.encode()
