"""Motion on one body put on another: rest poses, proportions, feet that stand, arms that clear the body."""
