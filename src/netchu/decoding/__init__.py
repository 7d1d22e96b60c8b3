"""From what models say of a line to its text.

CTC likelihoods and beam search, with the language model and the places of Vietnam inside; several members' outputs
joined; the choice, and how sure it is. No network is known here: what netchu-lite takes of it runs without PyTorch.
"""
