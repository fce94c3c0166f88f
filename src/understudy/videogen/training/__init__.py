"""Training of scene models: presets, data, optimisers, curves, checkpoints that resume."""
