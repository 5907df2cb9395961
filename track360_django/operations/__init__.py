"""How it goes: status, explanation, and the reasons in words. Nothing here changes a record."""
