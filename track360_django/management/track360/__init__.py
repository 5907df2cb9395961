"""The subcommands of `manage.py track360`, one module each: `HELP`, `add_arguments`, `run`."""
