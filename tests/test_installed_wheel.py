"""The package as its users get it: built, installed by itself into an empty environment, and used there."""

import json
import os
import shutil
import subprocess
import sys
import tarfile
import venv
import zipfile
from pathlib import Path

import pytest

import understudy

ROOT = Path(__file__).resolve().parents[1]
pytestmark = pytest.mark.slow


def run(*words: object, **options: object) -> str:
    """What a program prints; fails with all of it where the program does."""
    environment = {key: value for key, value in os.environ.items() if key not in ("PYTHONPATH", "PIP_CONSTRAINT")}
    done = subprocess.run(
        [str(word) for word in words], capture_output=True, text=True, encoding="utf-8", env=environment, **options
    )
    assert done.returncode == 0, f"{words}\n{done.stdout[-3000:]}\n{done.stderr[-3000:]}"
    return done.stdout


@pytest.fixture(scope="module")
def archives(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel built from it."""
    if not (ROOT / "pyproject.toml").is_file():
        pytest.skip("there is no source tree around these tests")
    source = tmp_path_factory.mktemp("source")  # building writes into the tree
    for name in ("pyproject.toml", "README.md", "LICENSE"):
        shutil.copy(ROOT / name, source)
    shutil.copytree(ROOT / "src", source / "src", ignore=shutil.ignore_patterns("__pycache__", "*.egg-info"))
    run(sys.executable, "-m", "build", source, "--outdir", source / "dist")
    return source / "dist"


@pytest.fixture(scope="module")
def programs(archives: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of programs of an environment that holds the wheel, and what pip brings along without constraints."""
    folder = tmp_path_factory.mktemp("environment")
    venv.create(folder, with_pip=True)
    programs = folder / ("Scripts" if sys.platform == "win32" else "bin")
    (wheel,) = archives.glob("*.whl")
    run(programs / "python", "-m", "pip", "install", "--only-binary=:all:", wheel)
    run(programs / "python", "-m", "pip", "check")
    return programs


def test_archives_hold_the_package_its_data_and_nothing_else(archives):
    (wheel,), (source,) = archives.glob("*.whl"), archives.glob("*.tar.gz")
    names = zipfile.ZipFile(wheel).namelist()
    package = {str(path.relative_to(ROOT / "src").as_posix()) for path in (ROOT / "src/understudy").rglob("*.*")}
    expected = {name for name in package if "__pycache__" not in name}
    assert {
        name for name in names if not name.startswith(f"understudy-{understudy.__version__}.dist-info/")
    } == expected
    with tarfile.open(source) as opened:
        held = {name.partition("/")[2] for name in opened.getnames()}
    assert {"LICENSE", "README.md", "pyproject.toml"} | {f"src/{name}" for name in expected} <= held


def test_the_installed_package_is_the_one_that_was_built(programs, tmp_path):
    code = "import understudy, importlib.metadata as m; print(understudy.__file__, understudy.__version__,"
    code += " m.version('understudy'))"
    path, version, of_metadata = run(programs / "python", "-c", code, cwd=tmp_path).split()
    assert programs.parent.resolve() in Path(path).resolve().parents
    assert version == of_metadata == understudy.__version__


def test_the_demo_films_and_the_doctor_finds_everything(programs, tmp_path):
    said = run(programs / "understudy", "demo", "-o", "film", "--end", "0.5", cwd=tmp_path)
    assert "film/film.mp4" in said.replace("\\", "/")
    assert json.loads((tmp_path / "film/manifest.json").read_text(encoding="utf-8"))
    assert (tmp_path / "film/report.html").stat().st_size > 10_000
    said = run(programs / "understudy", "doctor", cwd=tmp_path)
    assert "missing" not in said and f"understudy {understudy.__version__}" in said
