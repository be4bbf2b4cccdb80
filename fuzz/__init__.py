"""What strangers may send, tried without end: ``make fuzz``."""
