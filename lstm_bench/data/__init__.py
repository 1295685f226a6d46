"""One module per dataset, named as the dataset is named in a suite."""
