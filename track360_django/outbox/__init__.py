"""
The only writer of delivery state: lanes, due work, settlement, dead letters, wake-up, retention. Nothing here sends.

No names stand here: `tasks` reaches `outbox.wakeup` from a settings file, before models may load.
"""
