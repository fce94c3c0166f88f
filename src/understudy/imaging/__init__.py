"""Work on pictures as arrays: colour, grain, guided filter, inpainting."""
