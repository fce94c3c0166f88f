"""Pieces of Markdown that the pages of the documentation share."""

from collections.abc import Sequence

__all__ = ["anchor", "table"]


def anchor(head: str) -> str:
    """What GitHub calls a heading in links."""
    return "".join(c for c in head.lower().replace(" ", "-") if c.isalnum() or c in "-_")


def table(rows: Sequence[dict[str, str]]) -> str:
    """Rows with the same keys, as a table."""
    heads = list(rows[0])
    lines = [heads, ["---"] * len(heads), *([row[head] for head in heads] for row in rows)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines) + "\n"
