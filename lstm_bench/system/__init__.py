"""The computer a command runs on: process, threads, limits, folders, console."""
