"""Hair, skirts, capes, tails and bags told from the limbs beside them."""
