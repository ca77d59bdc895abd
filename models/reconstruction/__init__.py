"""The neural operator for undersampled MR, the network it is compared with: training, export."""
