"""Several stores at once, behind the face of one: where a session lives is looked up here, and nobody else knows."""
