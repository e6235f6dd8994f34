"""Reading images from every form, compared with bare decoding and a plain PyTorch data set."""
