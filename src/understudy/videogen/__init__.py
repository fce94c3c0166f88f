"""New film of a given set: scene encoder, video model for set pictures and a camera path, training, sampling."""
