"""Data sets: layouts and their readers, manifests with recorded folds, checks."""

from netchu.data.manifest import read_manifest as read_manifest
