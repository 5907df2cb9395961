"""What calls itself djoser here: an app of that name without any signal, as another version may be."""
