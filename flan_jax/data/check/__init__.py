"""Tasks held against the published form of their data sets."""
