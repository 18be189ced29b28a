"""What can be offered on a menu of decisions: a file for each kind of decision, found by its name."""
