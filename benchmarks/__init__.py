"""How fast p2pblog is, beside what a user would pick instead and beside the plain way to do the same."""
