"""The reference for the camera re-fit: a deformable radiance field of the new body, inverted for the camera."""
