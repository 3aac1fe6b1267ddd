"""One run: its folder, the process that trains it, and what that writes down."""
