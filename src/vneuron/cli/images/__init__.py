"""`vneuron images`: models of images, from files to codes, scores and a page."""
