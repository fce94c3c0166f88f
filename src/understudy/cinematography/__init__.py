"""The camera re-fitted to a new body, so that it fills the frame as the actor did."""
