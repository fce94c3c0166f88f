"""A character's picture without its background: matting, strokes, transparency."""
