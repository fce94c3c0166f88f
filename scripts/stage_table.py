"""Writes the table of stages in docs/pipeline.md from the pipeline itself."""

from pathlib import Path

from understudy.studio.pipeline.order import markdown_table

__all__ = ["page"]

PAGE = Path(__file__).parents[1] / "docs/pipeline.md"
BEGIN, END = "<!-- stages:", "<!-- end of stages -->"


def page() -> str:
    """The page with the table as it is now."""
    text = PAGE.read_text(encoding="utf-8")
    head, _, rest = text.partition(BEGIN)
    line, _, rest = rest.partition("\n")
    return f"{head}{BEGIN}{line}\n{markdown_table()}{END}{rest.partition(END)[2]}"


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
