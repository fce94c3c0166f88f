"""The camera solved from the picture: tracks, static or rotation or parallax, bundle adjustment."""
