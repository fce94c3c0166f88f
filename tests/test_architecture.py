"""The package's shape: imports point one way, and importing is light."""

import ast
import subprocess
import sys
from pathlib import Path

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


def test_every_package_has_a_level():
    packages = {path.parent.name for path in PACKAGE.glob("*/__init__.py")}
    assert packages == set(LEVEL_OF)


def test_importing_the_package_is_light():
    heavy = "{'cv2', 'torch', 'pycolmap', 'moderngl', 'ai_edge_litert', 'skimage', 'scipy'}"
    code = f"import sys, understudy; print(sorted({heavy} & set(sys.modules)))"
    out = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert out.strip() == "[]"


def test_recasting_needs_no_torch():
    modules = "understudy.studio.recast, understudy.evaluation.transfer, understudy.cli.doctor"
    code = f"import sys; sys.modules['torch'] = None; import {modules}"
    subprocess.run([sys.executable, "-c", code], check=True)
