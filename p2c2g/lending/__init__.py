"""A machine that is lent: its folder, its configuration, what it is doing, and what starts it."""
