"""MLflow: write runs as they happen, and read them back as `Results`."""

import os

# MLflow shows a progress bar for each file, and fetches each run that it closes on a
# server once more, to print two addresses.
os.environ.setdefault("MLFLOW_ENABLE_ARTIFACTS_PROGRESS_BAR", "false")
os.environ.setdefault("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
