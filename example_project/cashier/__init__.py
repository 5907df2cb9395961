"""The money of the brand: accounts and deposits."""
