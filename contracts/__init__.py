"""The VirtualGroups contract, its sources and its compiled artifact."""
