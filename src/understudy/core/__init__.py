"""The nouns: what one stage hands to the next. Immutable, typed, checked when built."""
