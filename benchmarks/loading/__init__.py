"""Reading pictures out of every form, beside bare decoding and a plain PyTorch data set."""
