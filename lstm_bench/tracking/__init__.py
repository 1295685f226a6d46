"""MLflow: write runs as they happen, and read them back as `Results`."""
