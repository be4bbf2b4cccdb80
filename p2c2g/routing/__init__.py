"""Who gets a chunk: pure policies over what is known of each peer, one policy a file."""
