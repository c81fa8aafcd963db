"""The Models tab: which models are stored here, preparing and removing them."""
