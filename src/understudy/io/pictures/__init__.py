"""Still pictures: PNG, JPEG and others, colour profiles, high dynamic range."""
