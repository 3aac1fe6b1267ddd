"""The command ``wrs-mm``: all that reads arguments. Nothing below it parses any."""
