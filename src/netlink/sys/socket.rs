//! What a netlink socket needs beyond the crates.

use nix::libc;
use std::io;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};

/// The socket's descriptor, for as long as the socket is borrowed.
pub fn borrow(socket: &mnl::Socket) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is open as long as the socket, which the result borrows.
    unsafe { BorrowedFd::borrow_raw(socket.as_raw_fd()) }
}

/// Switches an option of the level `SOL_NETLINK` on.
pub fn set_netlink_option(socket: impl AsFd, option: libc::c_int) -> io::Result<()> {
    let on: libc::c_int = 1;
    let len = libc::socklen_t::try_from(size_of_val(&on)).expect("an int is small");
    let fd = socket.as_fd().as_raw_fd();
    // SAFETY: the pointer and the length are those of `on`, which outlives the call.
    let status = unsafe { libc::setsockopt(fd, libc::SOL_NETLINK, option, (&raw const on).cast(), len) };
    if status == 0 { Ok(()) } else { Err(io::Error::last_os_error()) }
}
