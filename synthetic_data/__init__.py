"""Made-up handwritten Vietnamese lines for pretraining: texts, a pen, a page, and the scripts that write them out."""
