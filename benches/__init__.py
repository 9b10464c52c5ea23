"""Benchmarks: what the product costs, each compared in the same run with something that does less."""
