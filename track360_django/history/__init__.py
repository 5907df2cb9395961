"""What was there before: file import, backfill, replay, and what a long run shows of itself. Commands call it."""
