"""Reports to commit: their folder, their summary and the index of all."""
