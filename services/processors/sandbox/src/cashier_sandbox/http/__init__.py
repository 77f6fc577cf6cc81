"""What every HTTP interface of the sandbox shares: listening, reading, answering."""
