"""What the toolboxes have published of the recipes' baselines, and the GPU hours to expect."""
