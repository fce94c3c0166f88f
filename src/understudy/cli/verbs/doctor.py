"""`understudy doctor`."""

from collections.abc import Sequence
from dataclasses import dataclass

from rich.console import Console
from rich.markup import escape

from understudy.cli.arguments import parse
from understudy.io.weights import cache_folder
from understudy.runtime.errors import BackendUnavailable

__all__ = ["main"]

MARKS = {"ready": "[green]ready   [/]", "missing": "[red]missing [/]", "optional": "[yellow]optional[/]"}


@dataclass(frozen=True)
class _Arguments:
    """Say what is installed, what is in the cache, and what each backend still needs and under which licence."""


def main(arguments: Sequence[str]) -> None:
    """Examine this machine and print a line for each thing.

    Raises:
        BackendUnavailable: something that recasting needs is missing.
    """
    parse(_Arguments, "understudy doctor", arguments)
    from understudy.studio.doctor import examine

    console = Console(highlight=False, soft_wrap=True)
    missing = []
    for finding in examine():
        mark = MARKS[finding.state]
        console.print(f"{mark}  [bold]{finding.subject}[/]  {escape(finding.detail)}")
        if finding.licence:
            console.print(f"          [dim]licence: {finding.licence}[/]")
        if finding.state == "missing":
            missing.append(finding.subject)
    console.print(f"\ncache    {cache_folder()}")
    if missing:
        raise BackendUnavailable(f"{len(missing)} of these are missing: {', '.join(missing)}; see above for what to do")
    console.print("Everything that recasting needs is here.")
