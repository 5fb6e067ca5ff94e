"""What an operator does and sees: starts, stops, backups, logs, metrics, stores of earlier releases."""
