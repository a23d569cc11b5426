"""The master's HTTP edge: enrolment, sessions, stored records and the audit log."""
