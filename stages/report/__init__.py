"""Stage `report`: one HTML page with scores, curves, times and qualitative panels."""
