"""The texture of a figure of which one picture shows the front."""
