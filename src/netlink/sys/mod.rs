//! The only room with `unsafe`: libnftnl and libmnl.
