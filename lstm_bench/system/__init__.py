"""The computer that a command runs on: process, threads, limits, folders, console."""
