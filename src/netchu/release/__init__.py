"""An ensemble made ready to be handed on: `netchu release`.

All that it opens is copied into one folder, in the repository the package's own `weights/`, with a model card and test
vectors that the copy must read on every engine.
"""
