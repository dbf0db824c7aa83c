"""The runtime as actors of a Ray cluster: starting and joining one, its actors' names, options, life and links.

Above are the actors' shells and ``SessionManager``; below are Ray and the data plane. Nothing else of the product but
the shells knows Ray.
"""
