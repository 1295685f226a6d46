"""The report on several studies side by side."""
