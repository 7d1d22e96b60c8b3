"""Images to texts: recipes, the ensemble, candidates, confidence, submissions, pages."""
