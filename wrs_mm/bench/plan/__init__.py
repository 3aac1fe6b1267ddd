"""What is to be compared: the plan's file, its entries, and the config of each run that they stand for."""
