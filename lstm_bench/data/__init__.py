"""One module per dataset; the file's name is the dataset's name in a suite."""
