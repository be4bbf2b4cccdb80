"""How a peer or a gamer joins an open pool: what its machine does, and what both sides say."""
