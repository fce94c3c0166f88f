"""Pieces of Markdown that the pages of the documentation share."""

from collections.abc import Sequence

__all__ = ["anchor", "replaced", "table"]


def anchor(head: str) -> str:
    """What GitHub calls a heading in links."""
    return "".join(c for c in head.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def table(rows: Sequence[dict[str, str]]) -> str:
    """Rows with the same keys, as a table."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([row[head] for head in heads] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"


def replaced(text: str, name: str, content: str) -> str:
    """A page with its made part of that name replaced: what stands between two comments."""
    start, end = f"<!-- made: {name} -->", f"<!-- end of {name} -->"
    before, rest = text.split(start)
    return f"{before}{start}\n\n{content}\n{end}{rest.split(end)[1]}"
