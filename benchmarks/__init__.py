"""What the library costs, side by side with what you would use instead: ``make bench``."""
