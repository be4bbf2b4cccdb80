"""Who is there: the peers that a session knows from their results, and whom it trusts."""
