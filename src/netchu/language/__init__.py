"""What texts are likely: the character n-gram model, places, conventions of labels. No PyTorch."""
