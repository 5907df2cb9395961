"""The money of the brand: accounts, deposits, withdrawals and bonuses."""
