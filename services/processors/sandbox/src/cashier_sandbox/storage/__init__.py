"""Where the truth is kept between two starts."""
