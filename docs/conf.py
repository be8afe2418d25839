"""The site of these pages, with the reference from the docstrings: `make docs` builds it, and any warning fails it.

Sphinx, since it is kept and checks pages, anchors and symbols in one strict build; MkDocs has had no release since
2024, Zensical is at 0.1, and pdoc has no pages.

Pages are plain Markdown, so that they read well in the repository too. Two of them are completed here: `index.md` by
the side bar, whose pages stand in the order in which it links them, and the page of settings by `flan_jax.config`.
"""

import re
from collections.abc import Iterator

from sphinx.application import Sphinx

from flan_jax import __version__
from flan_jax.config import Config, Section

project = "flan_jax"
version = release = __version__
extensions = ["myst_parser", "sphinx.ext.autodoc", "sphinx.ext.napoleon"]
html_theme = "furo"
html_title = f"flan_jax {__version__}"
html_show_copyright = False
myst_heading_anchors = 3

add_module_names = False
autoclass_content = "both"  # what `__init__` takes stands in its own docstring
autodoc_member_order = "bysource"
autodoc_preserve_defaults = True
autodoc_typehints_format = "short"
napoleon_use_ivar = True  # attributes as a list; their types stand in the signature
napoleon_attr_annotations = False

nitpicky = True
# Types in signatures exist, since Python has read them, but need not be in the reference; other references must.
nitpick_ignore_regex = [("py:class", ".*")]

_PAGE_LINK = re.compile(r"\]\((?!\.\.|\w+:)([\w/-]+)\.\w+(?:#[\w-]+)?\)")
_OUTSIDE_LINK = re.compile(r"\]\((\.\./[\w.]+)(?:#[\w-]+)?\)")
_CODE = re.compile(r"(?<!`)`([^`]+)`(?!`)(?=(\w?))")


def complete(app: Sphinx, page: str, source: list[str]) -> None:
    """Adds to a page's text, `source[0]`, what it does not hold itself; files outside `docs` are linked as they are."""
    text = source[0]
    if "/" not in page:
        text = _OUTSIDE_LINK.sub(r"](<path:\1>)", text)
    if page == "index":
        listed: set[str] = set()
        for part in source[0].split("\n## ")[1:]:
            pages = [name for name in dict.fromkeys(_PAGE_LINK.findall(part)) if name not in listed]
            listed.update(pages)
            if pages:
                caption = part.partition("\n")[0]
                text += "\n".join(["\n```{toctree}", f":caption: {caption}", ":hidden:", *pages, "```\n"])
    if page == "reference/settings":
        text += "\n".join(tables(Config))
    source[0] = text


def tables(section: type[Section], name: str = "") -> Iterator[str]:
    """A heading and a table of settings for each section, as Markdown."""
    rows = []
    inner = []
    for key, field in section.model_fields.items():
        if isinstance(field.annotation, type) and issubclass(field.annotation, Section):
            inner.append((field.annotation, f"{name}.{key}".lstrip(".")))
            continue
        assert isinstance(field.json_schema_extra, dict)
        default = "required" if field.is_required() else f"`{field.default!r}`"
        cells = (f"`{key}`", default, str(field.json_schema_extra["resume"]), field.description or "")
        rows.append("| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |")
    if rows:
        yield from ("", f"## {name}", "", section.__doc__ or "", "")
        yield from ("| setting | default | on resume | what it says |", "|---|---|---|---|", *rows, "")
    for part, part_name in inner:
        yield from tables(part, part_name)


def as_literals(app: Sphinx, what: str, name: str, item: object, options: object, lines: list[str]) -> None:
    """Makes `code` of a docstring, as Markdown has it, what reStructuredText writes with two of the marks."""
    text = _CODE.sub(lambda match: f"``{match[1]}``" + ("\\ " if match[2] else ""), "\n".join(lines))
    lines[:] = text.split("\n")


def setup(app: Sphinx) -> None:
    """Has the functions above called where a page or docstring is read."""
    app.connect("source-read", complete)
    app.connect("autodoc-process-docstring", as_literals, priority=400)  # before the sections are parsed, at 500
