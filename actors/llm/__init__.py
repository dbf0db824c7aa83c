"""Model providers: between a model call and the wires, or the weights, that answer it.

The HTTP wires import aiohttp, so they are imported from their own modules, by model hosts only.
"""
