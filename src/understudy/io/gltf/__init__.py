"""glTF, GLB and VRM: rigs, animation, materials, compression; read and written."""
