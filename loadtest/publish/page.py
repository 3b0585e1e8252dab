"""Makes our HTML pages: templates that escape, inline assets, and a Content-Security-Policy.

Everything a page needs is in it, and its Content-Security-Policy lets through only the style sheet and the
script whose SHA-256 it names: no request leaves the page, and text that got past the escaping would still
not run.
"""

import base64
import hashlib
from functools import cache
from importlib.resources import files
from pathlib import Path
from typing import Any

import jinja2
import msgspec
from markupsafe import Markup

from loadtest.measure.printable import printable
from loadtest.publish.compiled_templates import CompiledTemplates

SCRIPTS = ("words.js", "chart.js", "report.js")
"""The scripts of a page that draws its charts."""


def document(name: str, drawn: Any = None, /, **content: Any) -> str:
    """One HTML document that opens offline: a template with `content`, its style sheet, scripts and policy.

    `drawn` is what the scripts draw, and goes in as JSON that cannot end its script element; None: no script.
    """
    style = asset("report.css")
    script = Markup("\n").join(asset(part) for part in SCRIPTS if drawn is not None)
    page = template(name).render(
        **content, data=embedded(drawn), style=style, script=script, policy=policy(style, script)
    )
    return page + "\n"


def embedded(drawn: Any) -> Markup:
    """A record as JSON that cannot end the script element that it stands in."""
    return Markup(msgspec.json.encode(drawn).decode().replace("<", "\\u003c"))  # noqa: S704 - every `<` is escaped


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
        bytecode_cache=CompiledTemplates(Path(__file__)),
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
