"""A numerical phantom of a first-pass myocardial perfusion study, from equations alone.

Anatomy is drawn from curves in the plane, contrast follows gamma-variate inputs and Fermi residues,
and the signal is that of a saturation-recovery sequence; the recipe is MRXCAT's (Wissmann 2014,
doi:10.1186/s12968-014-0063-3) with analytic anatomy. It makes the demonstration's study and adds
variety to the training of the networks. It is no simulator of a scanner: no k-space trajectory, no
parallel imaging, no through-plane motion.
"""

from pipeline.phantom.perfusion import Phantom, PhantomSettings, perfusion_phantom

__all__ = ["Phantom", "PhantomSettings", "perfusion_phantom"]
