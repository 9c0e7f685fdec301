"""The channels we ship, one folder per kind. They import the adapter API and nothing else."""
