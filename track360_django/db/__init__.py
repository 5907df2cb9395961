"""What Django's ORM lacks: the database's clock, exact text, row locks, inserts that skip, paths. No rule of ours."""
