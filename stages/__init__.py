"""tagmask: from image tags to pixel masks. One package a stage; stages meet in files, never in calls."""
