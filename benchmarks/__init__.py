"""Benchmarks: figures as ratios to an empty call, which is measured before and after each of them."""
