"""What the broadcaster is about, without input or output: time is passed in, nothing is fetched or written."""
