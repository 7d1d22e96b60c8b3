"""What a run leaves behind, and how it is shown.

The run folder with its log, figures and pictures; experiment trackers; kinds of mistakes; the parts of HTML reports.
"""
