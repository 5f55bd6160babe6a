//! Memory of the allocator: what only the C library can do.

use nix::libc;

/// Gives the system back what is free. The allocator keeps it otherwise: after a change of everything, as much again as is in use.
pub fn give_back() {
    // SAFETY: it takes no pointer, and frees nothing that is in use.
    #[cfg(target_env = "gnu")]
    unsafe {
        libc::malloc_trim(0);
    }
}
