"""From the runs' results to numbers with their uncertainty. Nothing here draws or formats."""
