"""The service over HTTP and the command: a FastAPI application behind Ray Serve, a console page, a terminal client."""
