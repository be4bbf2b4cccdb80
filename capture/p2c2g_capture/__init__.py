"""The gamer's side: sources of frames, the pacer that asks them, and the command."""
