"""What adapter authors and our own tests share: stand-in far ends, builders, the contract suite."""
