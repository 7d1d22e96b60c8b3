"""An ensemble made ready to be handed on: `netchu release`.

All that it opens is copied into `weights/release/`, with a model card and test vectors that the copy must read.
"""
