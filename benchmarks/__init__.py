"""How much the playground costs the engines it measures: `python -m benchmarks`."""
