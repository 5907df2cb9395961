"""The people of the brand: sign-up, login, profiles."""
