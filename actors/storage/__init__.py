"""Durable stores: one protocol, a memory and an SQL implementation, and the service that batches commits."""
