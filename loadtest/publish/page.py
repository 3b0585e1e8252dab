"""What our HTML pages are made from: templates that escape, assets that go inline, and a policy.

Everything a page needs is in it, and its Content-Security-Policy lets through only the style sheet and the
script whose SHA-256 it names: no request leaves the page, and text that got past the escaping would still
not run.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files

import jinja2
from markupsafe import Markup

from loadtest.measure.printable import printable


@cache
def template(name: str) -> jinja2.Template:
    """A template of ours; it escapes what it is given and fails on what it is not given."""
    environment = jinja2.Environment(
        loader=jinja2.PackageLoader("loadtest.publish"),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        finalize=_shown,
    )
    return environment.get_template(name)


def _shown(value: object) -> object:
    return printable(value) if type(value) is str else value


@cache
def asset(name: str) -> Markup:
    """A style sheet or script of ours, to go into the page as it is."""
    text = files("loadtest.publish").joinpath("assets", name).read_text(encoding="utf-8")
    return Markup(text)  # noqa: S704  # our own file


def policy(style: str, script: str = "") -> str:
    """The page's Content-Security-Policy; images may only be inline (the tab's icon)."""
    allowed = f"script-src {_source(script)}; " if script else ""
    return (
        f"default-src 'none'; style-src {_source(style)}; {allowed}img-src data:; "
        "base-uri 'none'; form-action 'none'"
    )


def _source(text: str) -> str:
    return f"'sha256-{base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()}'"
