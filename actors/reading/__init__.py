"""What readers see of a session, from its store and the hosts of its running calls alone: events, turns, waiting."""
