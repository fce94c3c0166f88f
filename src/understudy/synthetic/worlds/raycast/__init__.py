"""Those scenes ray-cast in batches, in PyTorch."""
