"""VGGT, written anew: aggregator, heads, camera encoding."""
