"""Who is in the shot: detection, tracking, landmarks and rough masks."""
