"""The client side of the Model Context Protocol: one connection to one server, as an effect host's executor.

Plain asyncio. The official SDK, which costs 1.5 s and 60 MB to import, is imported when a connection is made.
"""
