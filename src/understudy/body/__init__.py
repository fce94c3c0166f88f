"""Our body model: people of many shapes on the canonical skeleton."""
