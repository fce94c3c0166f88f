"""OpenEXR: multi-layer pictures with a camera in the header, Cryptomatte."""
