"""From a manifest and a config to a trained model."""
