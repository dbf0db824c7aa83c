"""Tools that read the web: only what is public, only so much of it."""
