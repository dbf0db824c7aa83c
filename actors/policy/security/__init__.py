"""What is withheld from journals and models, and what in a tool's result speaks as if it gave orders. Pure."""
