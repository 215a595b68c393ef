"""What runs commands: options and messages, the store, the hash of the code, the end of jobs. It knows no stage."""
