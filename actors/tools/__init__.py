"""Tools: what they are, how they are registered and run. Nothing is imported here, so that helpers start fast."""
