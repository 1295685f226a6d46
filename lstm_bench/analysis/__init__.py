"""Statistics of results: intervals, tests, comparisons, verdicts, tables."""
