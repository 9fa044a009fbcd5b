"""Sphinx: the pages of docs/, the docstrings of the packages, and their doctests."""

from __future__ import annotations

project = "Corvus"
author = "The Corvus developers"
copyright = "2026, The Corvus developers"  # noqa: A001 - Sphinx names it so
extensions = [
    "myst_parser",
    "sphinx.ext.autodoc",
    "sphinx.ext.doctest",
    "sphinx.ext.napoleon",
    "sphinx_copybutton",
]
myst_enable_extensions = ["colon_fence", "deflist"]
myst_heading_anchors = 3
html_theme = "furo"
html_title = "Corvus"
exclude_patterns = ["_build"]
autodoc_member_order = "bysource"
autodoc_typehints = "description"
autodoc_default_options = {"members": True, "show-inheritance": True}
napoleon_google_docstring = True
napoleon_numpy_docstring = False
# Modules hold doctests of their own, which the packages' tests run; here the prose is tested.
doctest_test_doctest_blocks = ""
# The engines share names on purpose (docs/explanation/engine-contract.md), so a bare
# `LocalProtocolError` has three targets; every reference page documents its own.
suppress_warnings = ["ref.python"]
copybutton_prompt_text = r">>> |\.\.\. |\$ "
copybutton_prompt_is_regexp = True
