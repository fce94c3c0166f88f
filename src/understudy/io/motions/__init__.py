"""Motions as files: BVH, and arrays of motions and landmarks."""
