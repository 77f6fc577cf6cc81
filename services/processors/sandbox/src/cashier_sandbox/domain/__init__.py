"""What a processor is, in pure Python: charges, books, scripts, chance, fees."""
