"""Columns and flags: described once, and what shows them shows all."""

import re
from importlib.resources import files

from autotune.domain.measurement import FLAGS, Flag
from autotune.report.columns import ON_THE_PAGE


def test_every_flag_is_described() -> None:
    """By what it is set on, in words, and with what it means."""
    assert set(FLAGS) == set(Flag)
    assert all(one.sign and one.words and one.meaning for one in FLAGS.values())


def test_the_page_has_a_cell_for_each_column() -> None:
    """The names of the page's program are those of the columns."""
    program = (files("autotune.report.page") / "page.js").read_text(encoding="utf-8")
    cells = re.search(r"const CELLS = \{\n(.*?)\n\};", program, re.DOTALL)
    assert cells is not None
    assert re.findall(r"^  (\w+): ", cells[1], re.MULTILINE) == list(ON_THE_PAGE)
