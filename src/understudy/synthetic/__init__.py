"""Film shots of our own making, with everything about them known: for tests, demonstrations and training."""
