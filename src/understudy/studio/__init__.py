"""The order of the stages, the film's folder, what the user is told. Only it knows which stage follows which."""
