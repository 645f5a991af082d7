"""What is said: columns, enumerations, messages, answers and errors. Imports nothing of ours."""
