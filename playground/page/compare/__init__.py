"""The Compare tab: one prompt, a column for each lane."""
