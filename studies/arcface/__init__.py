"""What the studies of ArcFace's own pictures share."""
