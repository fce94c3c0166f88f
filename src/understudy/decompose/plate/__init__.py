"""The clean plate: the shot without its actor, from a mosaic, keyframes or a plane sweep."""
