"""What the owner of this machine sees of its peer: a file, and a page for their own browser."""
