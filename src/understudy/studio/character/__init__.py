"""A character by itself: made or checked, seen from all sides, and moved."""
