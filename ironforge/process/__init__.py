"""What a process of ours owes the operating system: threads, loops, forks, signals, its end."""
