//! A kernel in memory, with the kernel's atomicity.
