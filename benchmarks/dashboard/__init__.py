"""How quickly the pages of the dashboard are there, over more and more calls."""
