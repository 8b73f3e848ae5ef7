"""Everything that is measured or judged: rows, claims, a problem of one's own, asv's benchmarks."""
