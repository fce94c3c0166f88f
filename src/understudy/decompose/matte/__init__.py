"""The actor's matte refined by the clean plate, and in which frames the actor is there."""
