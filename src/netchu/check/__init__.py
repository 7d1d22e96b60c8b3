"""What may be wrong with a data set: `python -m netchu.check`.

Images and labels are looked at, findings become a page for people and, with --fix, a cleaned manifest.
"""
