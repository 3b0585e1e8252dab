"""Benchmarks: programs that measure the project and write what they found as JSON and pictures."""
