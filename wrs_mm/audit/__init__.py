"""The verdicts on a config's weights, and their proof by brute force."""
