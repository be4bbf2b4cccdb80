"""Pure helpers that are told the time."""
