"""Statistics of results: intervals, hypothesis tests, comparisons, verdicts, tables."""
