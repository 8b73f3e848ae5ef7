"""The linear systems of implicit steps whose Jacobian is sparse, whatever the framework."""
