"""What the studio remembers: SQLite through SQLModel. The rest of the studio asks it and writes no SQL."""
