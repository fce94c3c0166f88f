"""Memory of large arrays goes back to the system."""

import subprocess
import sys

import pytest

FREED_BELOW_OTHERS = """
import numpy as np
from understudy.runtime.memory import LARGE_BYTES, hold_no_large_arrays

def resident_kb():
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS"))

hold_no_large_arrays()
np.ones(2 * LARGE_BYTES, np.uint8)  # glibc's own bound grows to what was freed
before = resident_kb()
large, above = np.ones(LARGE_BYTES, np.uint8), np.ones(100_000, np.uint8)
del large
print((resident_kb() - before) * 1024 / LARGE_BYTES)
"""


@pytest.mark.linux
def test_a_large_array_below_others_leaves_no_gap():
    ran = subprocess.run([sys.executable, "-c", FREED_BELOW_OTHERS], capture_output=True, text=True, check=True)
    assert float(ran.stdout) < 0.2
