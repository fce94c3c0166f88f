"""One picture of a figure inflated to a mesh: joints, parts, volume, texture, skin weights."""
