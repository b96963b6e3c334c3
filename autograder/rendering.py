"""Which of a student's markdown nbgrader's templates may render: they print it as it is, in the browser of whoever grades."""

import re

from nbconvert.filters.markdown_mistune import IPythonRenderer, MarkdownWithMath
from nbformat import NotebookNode

LONGEST = 20_000  # characters of a markdown cell that are rendered


class _Plain(IPythonRenderer):
    """Renders markdown as nbgrader's templates do, and raises where the text holds markup or addresses of its own."""

    def __init__(self, attachments: dict):
        super().__init__(escape=False, allow_harmful_protocols=False, attachments=attachments)

    def block_html(self, html: str) -> str:
        raise ValueError("markup")

    inline_html = block_mermaidjs = multiline_math = block_html

    def link(self, text: str, url: str, title: str | None = None) -> str:
        if not re.match(r"https?://|mailto:|#", url):
            raise ValueError("an address that is none of the web")
        return super().link(text, url, title)

    def image(self, text: str, url: str, title: str | None = None) -> str:
        if re.match(r"\s*([/\\]|(?!data:image/(png|jpeg|gif);|attachment:)[\w.+-]*:)", url):
            raise ValueError("a picture from the network")
        return super().image(text, url, title)


def is_harmless(source: str, attachments: dict | None = None) -> bool:
    """Whether nbgrader's templates may render a markdown cell: it has no raw HTML, no address that runs, and no picture that they would fail to find
    or fetch from the network."""
    if len(source) > LONGEST:
        return False
    try:
        MarkdownWithMath(renderer=_Plain(attachments or {})).render(source)
    except Exception:  # ValueError of ours, and whatever hostile text raises in the parser
        return False
    return True


def make_harmless(nb: NotebookNode, release: NotebookNode) -> None:
    """Shows what a student wrote as plain text where rendering it could do more than show it."""
    given = {cell.source for cell in release.cells}
    for cell in nb.cells:
        if cell.cell_type == "markdown" and cell.source not in given and not is_harmless(cell.source, cell.get("attachments")):
            cell.pop("attachments", None)
            cell.source = "\n".join("    " + re.sub(r"[\t\v\f\r\x1c-\x1e\x85\u2028\u2029]", " ", line) for line in cell.source[:LONGEST].split("\n"))
