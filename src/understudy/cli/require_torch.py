"""What some verbs need beyond the base install."""

import sys
from importlib.util import find_spec
from pathlib import Path
from shutil import which

from understudy.runtime.errors import BackendUnavailable

__all__ = ["needs_torch"]

CPU_WHEELS = "--extra-index-url https://download.pytorch.org/whl/cpu"
"""PyTorch's own index. For Linux, the usual one has builds for CUDA alone, which fetch gigabytes for it."""


def needs_torch() -> None:
    """Raise BackendUnavailable, saying what to install, where PyTorch is absent."""
    missing = [package for package in ("torch", "accelerate") if find_spec(package) is None]
    if missing:
        command = ["pip", "install", "'understudy[scene]'"]
        if "torch" in missing and sys.platform == "linux" and not _has_cuda():
            command.append(CPU_WHEELS)
        raise BackendUnavailable(f"this needs {' and '.join(missing)}: {' '.join(command)}")


def _has_cuda() -> bool:
    """Whether there is a driver for NVIDIA's GPUs."""
    return Path("/proc/driver/nvidia/version").exists() or which("nvidia-smi") is not None
