"""Linear decoders of position: softmax and ridge, their training and read-out."""
