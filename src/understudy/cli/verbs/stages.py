"""`understudy stages`: the stages of a recast in their order."""

import sys
from collections.abc import Sequence
from dataclasses import dataclass

from understudy.cli.arguments import parse

__all__ = ["main"]


@dataclass(frozen=True)
class _Arguments:
    """List the stages of `understudy recast` in their order: what each does, reads and makes."""

    markdown: bool = False
    """As the table in docs/pipeline.md."""


def main(arguments: Sequence[str]) -> None:
    """Print the stages."""
    options = parse(_Arguments, "understudy stages", arguments)
    from understudy.studio.pipeline.order import markdown_table, stage_table

    if options.markdown:
        sys.stdout.write(markdown_table())
        return
    for row in stage_table():
        print(f"{row.name}\n  {row.what}")
        for title, names in (("reads", row.reads), ("makes", row.makes), ("settings", (row.settings,))):
            if names:
                print(f"  {title:<9}{', '.join(names)}")
