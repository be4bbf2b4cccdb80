"""The front door of an open pool: accounts, keys, enrolment, and the rights at the broker."""
