"""The benchmark: exact prompt lengths, answers of equal length, interleaved lanes, medians."""
