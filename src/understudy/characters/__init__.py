"""The character: one picture, a rig or a mesh becomes a textured, rigged mesh."""
