"""Networks that several stages build on."""
