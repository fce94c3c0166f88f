"""The actor's body and motion fitted to landmarks and matte, in a metric world."""
