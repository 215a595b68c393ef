"""open_clip's image towers, opened where localizers look in."""
