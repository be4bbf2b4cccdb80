"""Everything that strangers may send, tried at random: ``make fuzz``."""
