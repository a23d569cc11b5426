"""What the master keeps: group, invitations, devices, records, audit log (SQLite, or PostgreSQL by URL).

Functions of this package's modules take a connection and do one thing in the transaction it has; the class Store
decides which transaction that is. So a change and its audit entry commit together, or not at all.
"""
