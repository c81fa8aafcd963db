"""The benchmark: exact prompt lengths, equal counts, lanes interleaved, medians of every figure."""
