"""What clients subscribe to: events and state, by filters, with positions to resume at."""
