"""Film shots of actors on built sets, with camera, body, motion and masks known; also the sample."""
