"""What the studies of the papers' claims share."""
