"""What all tests share."""

import os
import sys
from pathlib import Path

import pytest


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Skip what this system has not."""
    lacks = {"posix": sys.platform == "win32", "linux": sys.platform != "linux"}
    for item in items:
        for mark in [mark for mark, lacking in lacks.items() if lacking and item.get_closest_marker(mark)]:
            item.add_marker(pytest.mark.skip(reason=f"needs {mark}"))


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The developers' folder of real shots, characters and reference outputs; skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("UNDERSTUDY_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no developer data at {folder}: set UNDERSTUDY_DATA")
    return folder
