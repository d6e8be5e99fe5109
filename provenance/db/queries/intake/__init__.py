"""What came before the records: tokens, tickets, and the ends of logs."""
