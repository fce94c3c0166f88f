"""The package's shape: imports point one way, and importing is light."""

import ast
import subprocess
import sys
from functools import cache
from graphlib import CycleError, TopologicalSorter
from pathlib import Path

import pytest

import understudy

PACKAGE = Path(understudy.__file__).parent
LEVELS = [
    {"geometry", "runtime"},
    {"core"},
    {"imaging", "solvers"},
    {"io", "render", "metrics", "body", "diffusion"},
    {"synthetic"},
    {"decompose", "characters", "retarget", "cinematography", "refine", "videogen"},
    {"studio"},
    {"evaluation"},
    {"cli"},
]
LEVEL_OF = {package: level for level, packages in enumerate(LEVELS) for package in packages}


def imported_packages(file: Path) -> set[str]:
    """The sub-packages of understudy that a file imports."""
    names = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and node.module:
            assert node.level == 0, f"{file}: relative import"
            modules = [node.module]
            if node.module == "understudy":
                modules = [f"understudy.{alias.name}" for alias in node.names]
        elif isinstance(node, ast.Import):
            modules = [alias.name for alias in node.names]
        else:
            continue
        names |= {module.split(".")[1] for module in modules if module.startswith("understudy.")}
    return names


def test_imports_point_to_lower_levels_only():
    wrong = []
    for file in PACKAGE.rglob("*.py"):
        package = file.relative_to(PACKAGE).parts[0]
        if package not in LEVEL_OF:
            continue
        for other in imported_packages(file) - {package}:
            if other in LEVEL_OF and LEVEL_OF[other] >= LEVEL_OF[package]:
                wrong.append(f"{file.relative_to(PACKAGE)} imports {other}")
    assert not wrong, "\n".join(wrong)


@cache
def imported_modules(file: Path, whole: bool) -> set[str]:
    """The modules and packages of understudy that a file imports, with their full names: in the `whole` file, or only
    when it is imported itself, without what its functions import when they are called."""
    names = set()
    tree = ast.parse(file.read_text())
    for node in ast.walk(tree) if whole else tree.body:
        if isinstance(node, ast.ImportFrom) and node.module:
            names |= {node.module, *(f"{node.module}.{alias.name}" for alias in node.names)}
        elif isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
    return {name for name in names if name.startswith("understudy.")}


def inner_imports(package: str) -> dict[str, set[str]]:
    """For each module and sub-package right below a package: which of the others it imports."""
    folder = PACKAGE.parent / package.replace(".", "/")
    children = {path.stem for path in folder.iterdir() if path.suffix == ".py" or (path / "__init__.py").exists()}
    edges: dict[str, set[str]] = {child: set() for child in children}
    for file in folder.rglob("*.py"):
        child = file.relative_to(folder).parts[0].removesuffix(".py")
        # A backend's configuration imports its implementation in build(): that is no circle of two modules.
        names = imported_modules(file, whole=file.parent != folder)
        below = [name for name in names if name.startswith(f"{package}.")]
        edges[child] |= {name.removeprefix(f"{package}.").split(".")[0] for name in below} & children - {child}
    return edges


PACKAGES = sorted(".".join(path.parent.relative_to(PACKAGE.parent).parts) for path in PACKAGE.rglob("__init__.py"))


@pytest.mark.parametrize("package", PACKAGES)
def test_parts_of_a_package_do_not_import_each_other_in_circles(package):
    try:
        list(TopologicalSorter(inner_imports(package)).static_order())
    except CycleError as error:
        pytest.fail(f"in {package}: {' imports '.join(reversed(error.args[1]))}")


def test_every_package_has_a_level():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(LEVEL_OF)


def test_importing_the_package_is_light():
    heavy = "{'cv2', 'torch', 'pycolmap', 'moderngl', 'ai_edge_litert', 'skimage', 'scipy'}"
    code = f"import sys, understudy; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_recasting_needs_no_torch():
    modules = "understudy.studio.recast, understudy.evaluation.transfer, understudy.cli.verbs.doctor"
    code = f"import sys; sys.modules['torch'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
