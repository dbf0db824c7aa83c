"""Pure decisions over domain values: no clock, no file, no network, no Ray."""
