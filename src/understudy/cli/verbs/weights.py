"""`understudy weights list | fetch | verify [NAME …]`."""

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Literal

import tyro

from understudy.cli.arguments import parse
from understudy.cli.console import ConsoleNarrator
from understudy.io.weights import cache_folder, ensure_weights, list_weights, read_manifest, verify_weights
from understudy.runtime.errors import InputError, quoted

__all__ = ["main"]


@dataclass(frozen=True)
class _Arguments:
    """List, fetch and verify the model weights that backends use."""

    action: tyro.conf.Positional[Literal["list", "fetch", "verify"]] = "list"
    """List all weights and where they are; fetch them into the cache; or check every byte of what is there."""
    names: tyro.conf.Positional[tuple[str, ...]] = field(default=())
    """Which weights; all of them when none is named."""


def main(arguments: Sequence[str]) -> None:
    """Do one action for the weights named, or for all.

    Raises:
        InputError: a name that the manifest does not know, or weights that are damaged.
        BackendUnavailable: weights that cannot be fetched.
    """
    options = parse(_Arguments, "understudy weights", arguments)
    known = read_manifest()
    unknown = [name for name in options.names if name not in known]
    if unknown:
        raise InputError(f"there are no weights called {quoted(unknown[0])}; the manifest knows {', '.join(known)}")
    names = options.names or tuple(known)
    if options.action == "list":
        _list(names)
    elif options.action == "fetch":
        narrator = ConsoleNarrator()
        for name in names:
            with narrator.stage(f"fetch {name}") as progress:
                folder = ensure_weights(name, progress)
            print(f"{name}: {folder}")
    else:
        _verify(names)


def _list(names: Sequence[str]) -> None:
    print(f"cache: {cache_folder()}\n")
    for status in list_weights():
        weights = status.weights
        if weights.name in names:
            print(
                f"{weights.name:<16}{status.state:<9}{weights.size / 1e6:7.1f} MB  {weights.licence:<14}{weights.what}"
            )


def _verify(names: Sequence[str]) -> None:
    problems = []
    for name in names:
        found = verify_weights(name)
        problems += found
        print(f"{name}: {'; '.join(found) if found else 'every byte is right'}")
    if problems:
        raise InputError(f"{len(problems)} files are missing or damaged; run: understudy weights fetch")
