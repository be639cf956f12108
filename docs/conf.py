"""How the docs are built: `sphinx-build -W -b html docs build/docs`."""

from __future__ import annotations

from logos_shift_openai.version import __version__

project = "logos_shift_openai"
copyright = "the logos_shift_openai authors"  # noqa: A001 - Sphinx's own name
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
source_suffix = {".md": "markdown"}
html_theme = "furo"
html_title = f"logos_shift_openai {__version__}"
html_show_sourcelink = False
templates_path: list[str] = []
exclude_patterns: list[str] = []
nitpicky = False
myst_enable_extensions = ["colon_fence"]
myst_heading_anchors = 3
autodoc_typehints = "signature"
autodoc_member_order = "bysource"
autodoc_class_signature = "separated"
# Links from pages to files of the repository lead to nothing within the built pages.
suppress_warnings = ["myst.xref_missing"]
