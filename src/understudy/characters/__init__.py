"""The character: one picture or a rig becomes a textured, rigged mesh."""
