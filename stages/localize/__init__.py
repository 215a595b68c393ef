"""Stage `localize`: trains the localization transformer and turns images into class localization maps."""
