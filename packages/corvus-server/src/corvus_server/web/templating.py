"""Templates: Jinja with everything escaped, and the words of `words` as filters."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final, final

import jinja2
from markupsafe import Markup, escape

from corvus_server.web import words
from corvus_server.web.assets import Assets

FOLDER: Final = Path(__file__).parent / "templates"


@final
class Templates:
    """Renders pages."""

    def __init__(self, assets: Assets) -> None:
        environment = jinja2.Environment(
            loader=jinja2.FileSystemLoader(FOLDER),
            autoescape=True,
            undefined=jinja2.StrictUndefined,
            trim_blocks=True,
            lstrip_blocks=True,
        )
        environment.filters.update(
            size=words.size,
            plural=words.plural,
            person=words.person,
            address=words.address,
            visible=words.visible,
            initials=words.initials,
            hue=words.hue,
            number=words.number,
            clock=words.clock,
            span=words.span,
            exact=words.exact,
        )
        environment.globals.update(asset=assets.url, icon=_icon(assets))
        environment.filters["time"] = _time
        environment.filters["time_short"] = _time_short
        self._environment = environment

    def warm(self) -> None:
        """Compile all templates now, so that no visitor waits for it."""
        for name in self._environment.list_templates(extensions=["html"]):
            self._environment.get_template(name)

    def render(self, name: str, context: Mapping[str, Any]) -> str:
        return self._environment.get_template(name).render(context)


def _icon(assets: Assets) -> Any:
    def icon(name: str) -> Markup:
        href = f"{assets.url('icons.svg')}#{name}"
        return Markup('<svg class="icon" aria-hidden="true"><use href="{}"/></svg>').format(href)

    return icon


@jinja2.pass_context
def _time(context: jinja2.runtime.Context, when: float) -> Markup:
    return _tag(when, words.ago(when, context["now"]))


@jinja2.pass_context
def _time_short(context: jinja2.runtime.Context, when: float) -> Markup:
    return _tag(when, words.short(when, context["now"]))


def _tag(when: float, text: str) -> Markup:
    return Markup('<time datetime="{}" title="{}">{}</time>').format(
        words.iso(when), words.exact(when), escape(text)
    )
