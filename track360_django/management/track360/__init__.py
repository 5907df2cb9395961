"""The subcommands of `manage.py track360`. Each module has `HELP`, `add_arguments` and `run`."""
