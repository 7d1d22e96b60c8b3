"""From a manifest and a config to a trained model: `engine.fit`.

Lines and batches, one step, validation, states to resume from, the loop around them; the runs of all folds; the study
behind `python -m netchu.tune`.
"""
