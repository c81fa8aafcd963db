"""The History tab: stored runs and benchmarks."""
