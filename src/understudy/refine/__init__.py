"""Puts the rendered character into the shot: its light, shadow, tone, sharpness and grain."""
