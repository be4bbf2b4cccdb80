"""The nets that this gamer's games have."""
