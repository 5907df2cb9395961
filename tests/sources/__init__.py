"""
Real auth packages in real hosts: `python -m tests.sources djoser` serves one and signs people up over HTTP.

Each host has a process of its own, for app labels collide. In it every server (a threaded WSGI server, uvicorn) and
every session backend has its turn, and the same stories are told to each; the rows they leave are printed as JSON.
`stories.py` starts the processes; the tests say what has to be in the rows.

To add a host:

1. Write `hosts/<name>.py` with a subclass of `Host` that is called `Site`: apps, settings, URLs, how a browser signs up
   there and, if the package has it, how a signup is refused and how somebody is activated.
   Templates of its own are in `templates/`.
2. Name it in `test_matrix.py`. If its package can't share the project's environment, give `Site.environment` a name of
   `environments.py`.
3. What a host has to tell beside the common stories is a method in `Site.stories()`; it returns rows.
"""
