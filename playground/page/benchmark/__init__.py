"""The Benchmark tab: exact prompt lengths, a table and charts."""
