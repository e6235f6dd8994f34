"""What benchmarks share: memory, the machine they ran on, tables in a page."""
