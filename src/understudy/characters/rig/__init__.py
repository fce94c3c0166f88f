"""A rig from a GLB, glTF or VRM: which joint plays which part, stood up in our world."""
