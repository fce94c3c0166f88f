"""COLMAP's Python package without the signal handler that it puts in place of anybody's: on SIGTERM, it prints where
every thread stands and ends the process with nothing cleaned up."""

import signal
import threading

_before = signal.getsignal(signal.SIGTERM)

import pycolmap  # noqa: E402

if _before is not None and threading.current_thread() is threading.main_thread():
    signal.signal(signal.SIGTERM, _before)

__all__ = ["pycolmap"]
