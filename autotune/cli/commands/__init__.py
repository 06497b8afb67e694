"""The commands as users give them: options, help, and what carries them out; nothing heavy."""
