"""Of the fixture `pbx`: users and passwords, and numbers that lead to them."""

EXTENSIONS = {"viva": "viva-word", "anna": "anna-word", "ben": "ben-word", "cara": "cara-word"}
NUMBERS = {"+4930555001": "anna"}
