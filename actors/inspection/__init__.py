"""Security providers of users: loaded in processes of their own, asked with a limit of time, believed in nothing."""
