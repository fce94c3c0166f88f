"""What each stage of a film does."""
