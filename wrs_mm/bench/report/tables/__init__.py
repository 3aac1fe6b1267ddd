"""What the report compares, as tables of text; a module a kind of table."""
