"""Data sets of any layout -> lines -> manifests.

Each layout is a function in one of the files here and a row of READERS, at the foot of `layouts`.
"""
