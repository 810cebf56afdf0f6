"""What the scripts in recipes/ share."""
