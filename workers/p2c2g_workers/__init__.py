"""The peer's side: takes chunks off the queues, enhances them and sends them back."""
