"""What reasons: one thin Faust agent per stage."""
