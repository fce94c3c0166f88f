"""What lies in the folder of a cast character, beside its rigged GLB (`pipeline.casting.CAST_FILE`)."""

__all__ = ["CUTOUT_FILE", "GENERATED", "JOINTS_FILE", "REPORT_FILE", "TURNTABLE_FILE"]

TURNTABLE_FILE, REPORT_FILE = "turntable.mp4", "report.html"
CUTOUT_FILE, JOINTS_FILE = "figure/cutout.png", "figure/joints.json"
"""Of a picture: which pixels are the figure, and where its joints are."""
GENERATED = "generated"
"""The folder of what a generator was given, has made and has said."""
