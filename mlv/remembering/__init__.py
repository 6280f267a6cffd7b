"""What happened, and what was live at a moment: read from the registry branch's past."""
