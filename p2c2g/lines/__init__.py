"""What the network gives, line by line, measured from the traffic itself."""
