"""Benchmarks: `python -m benchmarks` measures this package beside what one would write or install instead."""
