"""Singles' Day: open-loop load testing on Locust that measures from intent and distrusts itself."""
