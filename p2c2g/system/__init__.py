"""What the operating system does for us: processes that end with ours, and memory."""
