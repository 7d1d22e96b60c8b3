"""The network and its files.

Backbone, neck and head, and what training minimises; the bundle that a trained model travels in, its int8 twin, and
the average of several bundles.
"""
