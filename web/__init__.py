"""Templates, modules and the stylesheet of the pages. No build step."""
