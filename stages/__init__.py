"""tagmask: from image tags to pixel masks. One package a stage, which imports no later one."""
