"""The network and its files: backbones, necks, recogniser, losses, bundles."""
