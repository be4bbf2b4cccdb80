"""Whether what a peer sent is right: checks, examinations, canaries."""
