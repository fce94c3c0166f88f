"""The programs that write pages of the documentation, as modules, and the pages as they lie in the repository."""

import importlib
import sys
from pathlib import Path
from types import ModuleType

ROOT = Path(__file__).resolve().parents[2]


def maker(name: str) -> ModuleType:
    """A program by its name in the repository, such as "scripts.api_page"."""
    if str(ROOT) not in sys.path:
        sys.path.append(str(ROOT))
    return importlib.import_module(name)


def written(name: str) -> str:
    """A page as it lies in the repository."""
    return (ROOT / name).read_text(encoding="utf-8")
