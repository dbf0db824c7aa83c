"""Data of the service: frozen models without behaviour beyond their own shape. Knows nothing above it."""
