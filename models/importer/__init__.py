"""Make a bundle of ours of one of MONAI's Model Zoo, without executing anything that it brings."""
