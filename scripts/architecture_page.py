"""Writes the made parts of docs/architecture.md: packages and arrows from the imports, stages from the pipeline."""

import ast
import inspect
import sys
from collections.abc import Callable
from functools import cache
from graphlib import TopologicalSorter
from pathlib import Path

from scripts.markdown import replaced, table
from understudy.studio.pipeline.order import STAGES

__all__ = ["arrows", "page"]

ROOT = Path(__file__).parents[1]
SOURCE, PAGE = ROOT / "src", ROOT / "docs/architecture.md"
SORTED = ("decompose", "characters", "io", "videogen", "synthetic", "studio")
"""Packages that have packages of their own, which the page shows too."""
STAGE_PACKAGES = tuple(
    f"understudy.{name}." for name in ("decompose", "characters", "retarget", "cinematography", "render", "refine")
)
"""Where the work of stages is done."""


def page() -> str:
    """The page as text, with the parts made anew."""
    text = PAGE.read_text(encoding="utf-8")
    text = replaced(text, "packages", diagram("understudy") + "\n" + package_table("understudy"))
    inner = [f"### {name}\n\n{diagram(f'understudy.{name}')}\n{package_table(f'understudy.{name}')}" for name in SORTED]
    text = replaced(text, "inside", "\n".join(inner))
    return replaced(text, "stages", stage_table())


@cache
def children(package: str) -> tuple[str, ...]:
    """The packages right below a package."""
    folder = SOURCE / package.replace(".", "/")
    return tuple(sorted(path.parent.name for path in folder.glob("*/__init__.py")))


@cache
def imported(file: Path) -> frozenset[str]:
    """Every name of understudy that a file imports."""
    names: set[str] = set()
    for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return frozenset(name for name in names if name.startswith("understudy."))


def arrows(package: str) -> dict[str, set[str]]:
    """Which of the packages right below a package import which others."""
    folder, found = SOURCE / package.replace(".", "/"), {}
    for child in children(package):
        names = {name for file in (folder / child).rglob("*.py") for name in imported(file)}
        found[child] = {
            other for other in children(package) if any(is_in(name, f"{package}.{other}") for name in names)
        }
        found[child] -= {child}
    return found


def is_in(name: str, package: str) -> bool:
    """Whether a name is a package or lies in it."""
    return name == package or name.startswith(f"{package}.")


def reduced(edges: dict[str, set[str]]) -> dict[str, set[str]]:
    """Without the arrows that longer ways make needless (transitive reduction)."""
    below: dict[str, set[str]] = {}
    for node in TopologicalSorter(edges).static_order():
        below[node] = edges[node] | {far for near in edges[node] for far in below[near]}
    return {node: {to for to in tos if not any(to in below[other] for other in tos)} for node, tos in edges.items()}


def diagram(package: str) -> str:
    """Packages and arrows, for Mermaid; an arrow means "imports", and implies what the packages behind it import."""
    lines = ["```mermaid", "flowchart TD"]
    edges = reduced(arrows(package))
    # Mermaid takes some words, such as "end" and "style", for its own: names are prefixed.
    lines += [f"    p_{name}[{name}]" for name in edges]
    lines += [f"    p_{name} --> p_{other}" for name, others in edges.items() for other in sorted(others)]
    return "\n".join([*lines, "```"]) + "\n"


def levels(edges: dict[str, set[str]]) -> dict[str, int]:
    """How many packages deep each stands: 1 imports none of the others."""
    found: dict[str, int] = {}
    for node in TopologicalSorter(edges).static_order():
        found[node] = 1 + max((found[other] for other in edges[node]), default=0)
    return found


def package_table(package: str) -> str:
    """What each package is, by its docstring, from the lowest level to the highest."""
    folder = SOURCE / package.replace(".", "/")
    rows = []
    for child, level in sorted(levels(arrows(package)).items(), key=lambda one: (one[1], one[0])):
        said = ast.get_docstring(ast.parse((folder / child / "__init__.py").read_text(encoding="utf-8")))
        if not said:
            raise ValueError(f"{package}.{child} has no docstring that says what it is")
        place = (folder / child).relative_to(ROOT).as_posix()
        rows.append({
            "Level": str(level), "Package": f"[`{child}`](../{place})", "What it is": " ".join(said.split()),
        })  # fmt: skip
    return table(rows)


def stage_table() -> str:
    """The stages of a recast in their order, each with its file and the functions that do its work."""
    rows = []
    for number, stage in enumerate(STAGES, 1):
        functions = [f"[`{name}`](../{file})" for name, file in functions_of(stage.work).items()]
        link = f"[{stage.name}](../{file_of(stage.work)})"
        rows.append(
            {"": str(number), "Stage": link, "What it does": stage.what, "Done by": ", ".join(functions) or "–"}
        )
    return table(rows)


def file_of(function: Callable) -> str:
    """Where a function stands, from the repository's root."""
    return Path(sys.modules[function.__module__].__file__ or "").resolve().relative_to(ROOT).as_posix()


def functions_of(work: Callable) -> dict[str, str]:
    """The functions of packages below the studio that a stage calls, itself or through its file, and their files."""
    names = vars(sys.modules[work.__module__])
    found: dict[str, str] = {}
    seen, waiting = set(), [work]
    while waiting:
        function = waiting.pop(0)
        seen.add(function)
        for node in ast.walk(ast.parse(inspect.getsource(function))):
            called = names.get(node.func.id) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) else None
            if not inspect.isfunction(called) or called in seen:
                continue
            if called.__module__ == work.__module__:
                waiting.append(called)
            elif called.__module__.startswith(STAGE_PACKAGES):
                found[called.__name__] = file_of(called)
    return found


if __name__ == "__main__":
    PAGE.write_text(page(), encoding="utf-8")
