"""Takes: everything that was spoken on request. Turns what a user gives (files, words, numbers) into speech."""
