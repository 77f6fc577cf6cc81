"""The risk service: scores and screens every payment before a rail sees it."""
