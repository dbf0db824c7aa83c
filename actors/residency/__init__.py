"""Who is resident where, and who should be: the registry's mind, without Ray."""
