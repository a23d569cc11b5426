"""Results of several machines in one table, carried as records over the group's own authenticated channel."""
