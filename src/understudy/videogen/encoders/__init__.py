"""What is seen of a set's geometry in its pictures: scene encoders, matching, point clouds."""
