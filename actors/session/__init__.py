"""The core of a session: state as a fold over records, what follows from it, and the driver that performs it."""
