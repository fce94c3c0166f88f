"""Characters in the files of other programs, turned into GLB by the user's own Blender, in a process of its own."""
