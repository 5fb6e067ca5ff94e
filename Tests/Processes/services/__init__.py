"""Three services over Redis behind the gateway."""
