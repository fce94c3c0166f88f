"""A shot taken apart: cuts, people, camera, clean plate, matte, and body with motion in a metric world."""
