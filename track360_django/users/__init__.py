"""The host's users: mapping, look-up, eligibility, auth packages, and the user of a request. Nothing here writes."""
