"""An app of the tests alone: a ledger with a proxy and a multi-table child, written in every way there is."""
