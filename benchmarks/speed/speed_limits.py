"""What limits each row of the speed report now, in words; written by hand.

By the row's name, as Markdown. A row without a text is left out of the page.
"""

LIMITS: dict[str, str] = {}
