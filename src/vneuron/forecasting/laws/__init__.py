"""What a network says of the future: laws of steps and of whole paths."""
