"""Data sets of any layout to manifests, and what may be wrong with them."""
