"""Cameras as files: paths, sets of cameras in public layouts, and solved scenes for other tools."""
