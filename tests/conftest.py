"""What all tests share."""

import os
from pathlib import Path

import pytest


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """The developers' folder of real shots, characters and reference outputs; skips where it is absent."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "data"
    folder = Path(os.environ.get("UNDERSTUDY_DATA", beside))
    if not folder.is_dir():
        pytest.skip(f"no developer data at {folder}: set UNDERSTUDY_DATA")
    return folder
