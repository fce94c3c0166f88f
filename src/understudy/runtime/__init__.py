"""What every package needs below the nouns: errors, checks, limits on memory, progress, threads."""
