"""Results against known truth: transfer of motion and camera, scene models, scores, pages."""
