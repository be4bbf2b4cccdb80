"""The peer's side: takes chunks from the queues, enhances them and sends them back."""
