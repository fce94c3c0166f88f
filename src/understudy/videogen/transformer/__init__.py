"""The video diffusion transformer: rays, conditions, text, attention, checkpoints."""
