"""Every dependency has bounds and an exact version within them; nothing is imported that is not declared."""

import ast
import sys
import tomllib
from importlib import metadata
from pathlib import Path

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import understudy

ROOT = Path(__file__).resolve().parents[1]


@pytest.fixture(scope="module")
def declared() -> list[Requirement]:
    """All of pyproject.toml, with those of extras."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("there is no source tree around these tests")
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    lines = [*project["dependencies"], *(line for extra in project["optional-dependencies"].values() for line in extra)]
    return [wanted for line in lines if (wanted := Requirement(line)).name != "understudy"]


def test_every_dependency_has_bounds_and_an_exact_version_within_them(declared):
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = {canonicalize_name(name): version for name, _, version in (line.partition("==") for line in lines)}
    for wanted in declared:
        assert {bound.operator for bound in wanted.specifier} == {">=", "<"}, wanted
        assert wanted.specifier.contains(pins[canonicalize_name(wanted.name)]), wanted


def test_what_is_imported_is_declared(declared):
    owners = metadata.packages_distributions()
    known = {canonicalize_name(wanted.name) for wanted in declared}
    # Pillow reads HEIC through either; Triton comes with PyTorch where it is, the other with pydantic.
    wrong, optional = [], {"pillow_heif", "triton", "pydantic_core"}
    for file in Path(understudy.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            names += [node.module] if isinstance(node, ast.ImportFrom) and node.module else []
            for name in {name.partition(".")[0] for name in names} - sys.stdlib_module_names - optional:
                packages = {canonicalize_name(owner) for owner in owners.get(name, [name])}
                if name != "understudy" and not packages & known:
                    wrong.append(f"{file.name} imports {name} of {', '.join(packages)}")
    assert not wrong, "\n".join(wrong)
