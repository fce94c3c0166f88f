"""Takes rendered to passes: colour, alpha, depth, normals, ids and the shadow on the ground."""
