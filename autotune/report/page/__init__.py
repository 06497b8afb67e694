"""The report: one HTML page with everything in it, for a browser without a network."""

import base64
import hashlib
import json
from functools import cache
from importlib.resources import files
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined
from markupsafe import Markup

from autotune.report import format as formats
from autotune.report.page.comparison import ComparisonView
from autotune.report.page.view import View

_PACKAGE = "autotune.report.page"


def render(view: View) -> str:
    """The page of a study."""
    return _page("page.html", "page.js", view)


def render_comparison(view: ComparisonView) -> str:
    """The page of several studies side by side."""
    return _page("comparison.html", "compare.js", view)


def _page(template: str, program: str, view: View | ComparisonView) -> str:
    """A page with everything in it.

    Nothing that a study holds is trusted: text is escaped, data lies in a block that is no program,
    and the page's policy allows its own scripts by their hashes and nothing from elsewhere.
    """
    scripts = [_plotly(), _asset("draw.js"), _asset(program)]
    hashes = " ".join(f"'sha256-{_sha256(script)}'" for script in scripts)
    policy = (
        f"default-src 'none'; script-src {hashes}; style-src 'unsafe-inline'; "
        "img-src data: blob:; base-uri 'none'; form-action 'none'"
    )
    return (
        _environment()
        .get_template(template)
        .render(
            view=view,
            policy=policy,
            style=Markup(_asset("page.css")),  # noqa: S704 - ours
            scripts=[Markup(script) for script in scripts],  # noqa: S704 - ours, and plotly's
            data=Markup(_data(view.data)),  # noqa: S704 - escaped there
        )
    )


@cache
def _environment() -> Environment:
    environment = Environment(
        loader=PackageLoader(_PACKAGE),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    for name in ("per_second", "milliseconds", "times", "percent", "percentile", "seconds"):
        environment.filters[name] = getattr(formats, name)
    return environment


def _data(data: dict[str, Any]) -> str:
    """JSON that ends no script, whatever is in it."""
    text = json.dumps(data, allow_nan=False, separators=(",", ":"))
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


@cache
def _asset(name: str) -> str:
    return (files(_PACKAGE) / name).read_text(encoding="utf-8")


@cache
def _plotly() -> str:
    from plotly.offline import get_plotlyjs

    # As text in a page it must not end the element that it stands in.
    return str(get_plotlyjs()).replace("</script", "<\\/script")


def _sha256(script: str) -> str:
    return base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
