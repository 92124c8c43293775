"""Nets that paint a mouth: LipGAN's generators and discriminator, and a slim one."""
