//! The system calls that the worker's loop needs. The kernel kills it at any other.

use super::walls::{Missing, missing};
use nix::libc;
use seccompiler::{
    BackendError, BpfProgram, SeccompAction, SeccompCmpArgLen, SeccompCmpOp, SeccompCondition, SeccompFilter,
    SeccompRule,
};
use std::collections::BTreeMap;

/// Memory, time, randomness, waiting, and the end.
const PLAIN: &[i64] = &[
    libc::SYS_brk,
    libc::SYS_clock_gettime,
    libc::SYS_close,
    libc::SYS_connect,
    libc::SYS_exit,
    libc::SYS_exit_group,
    libc::SYS_futex,
    libc::SYS_getrandom,
    libc::SYS_gettid,
    libc::SYS_madvise,
    libc::SYS_mremap,
    libc::SYS_munmap,
    #[cfg(target_arch = "x86_64")]
    libc::SYS_poll,
    libc::SYS_ppoll,
    libc::SYS_read,
    libc::SYS_recvfrom,
    libc::SYS_restart_syscall,
    libc::SYS_rt_sigprocmask,
    libc::SYS_rt_sigreturn,
    libc::SYS_sigaltstack,
];

/// The log's socket, which is only read.
const LOG: u64 = 1;
const FLAGS: u64 = (libc::SOCK_NONBLOCK | libc::SOCK_CLOEXEC) as u64;

/// Restricts this process to them. It has one thread.
pub(super) fn restrict() -> Result<(), Missing> {
    let program = program().map_err(|error| missing("seccomp", error))?;
    seccompiler::apply_filter(&program).map_err(|error| missing("seccomp", error))
}

fn program() -> Result<BpfProgram, BackendError> {
    let architecture = std::env::consts::ARCH.try_into()?;
    SeccompFilter::new(rules()?, SeccompAction::KillProcess, SeccompAction::Allow, architecture)?.try_into()
}

fn rules() -> Result<BTreeMap<i64, Vec<SeccompRule>>, BackendError> {
    let mut rules: BTreeMap<i64, Vec<SeccompRule>> = PLAIN.iter().map(|call| (*call, Vec::new())).collect();
    rules.insert(libc::SYS_socket, sockets()?);
    for call in [libc::SYS_mmap, libc::SYS_mprotect] {
        rules.insert(call, vec![where_all([argument(2, masked(libc::PROT_EXEC as u64), 0)])?]);
    }
    // A build with debug assertions asks before it closes a descriptor.
    rules.insert(libc::SYS_fcntl, vec![where_all([argument(1, SeccompCmpOp::Eq, libc::F_GETFD as u64)])?]);
    for call in [libc::SYS_sendto, libc::SYS_write] {
        rules.insert(call, vec![where_all([argument(0, SeccompCmpOp::Ne, LOG)])?]);
    }
    Ok(rules)
}

/// UDP and TCP, over IPv4 and IPv6.
fn sockets() -> Result<Vec<SeccompRule>, BackendError> {
    let mut rules = Vec::new();
    for family in [libc::AF_INET, libc::AF_INET6] {
        for kind in [libc::SOCK_DGRAM, libc::SOCK_STREAM] {
            rules.push(where_all([
                argument(0, SeccompCmpOp::Eq, family as u64),
                argument(1, masked(u64::from(u32::MAX) & !FLAGS), kind as u64),
                argument(2, SeccompCmpOp::Eq, 0),
            ])?);
        }
    }
    Ok(rules)
}

fn where_all<const N: usize>(
    conditions: [Result<SeccompCondition, BackendError>; N],
) -> Result<SeccompRule, BackendError> {
    SeccompRule::new(conditions.into_iter().collect::<Result<_, _>>()?)
}

fn argument(number: u8, compared: SeccompCmpOp, with: u64) -> Result<SeccompCondition, BackendError> {
    SeccompCondition::new(number, SeccompCmpArgLen::Dword, compared, with)
}

fn masked(mask: u64) -> SeccompCmpOp {
    SeccompCmpOp::MaskedEq(mask)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_that_reaches_other_processes_files_or_peers_is_there() {
        let rules = rules().unwrap();
        let forbidden = [
            libc::SYS_accept4,
            libc::SYS_bind,
            libc::SYS_bpf,
            libc::SYS_clone,
            libc::SYS_clone3,
            libc::SYS_dup,
            libc::SYS_dup3,
            libc::SYS_execve,
            libc::SYS_execveat,
            libc::SYS_io_uring_setup,
            libc::SYS_ioctl,
            libc::SYS_kill,
            libc::SYS_listen,
            libc::SYS_memfd_create,
            libc::SYS_openat,
            libc::SYS_openat2,
            libc::SYS_pidfd_getfd,
            libc::SYS_pidfd_open,
            libc::SYS_pidfd_send_signal,
            libc::SYS_prctl,
            libc::SYS_process_vm_readv,
            libc::SYS_process_vm_writev,
            libc::SYS_ptrace,
            libc::SYS_sendmsg,
            libc::SYS_setresuid,
            libc::SYS_tgkill,
            libc::SYS_tkill,
            libc::SYS_unshare,
            libc::SYS_writev,
        ];
        assert!(forbidden.iter().all(|call| !rules.contains_key(call)));
    }

    #[test]
    fn the_filter_is_made_for_both_architectures() {
        for architecture in ["x86_64", "aarch64"] {
            let filter = SeccompFilter::new(
                rules().unwrap(),
                SeccompAction::KillProcess,
                SeccompAction::Allow,
                architecture.try_into().unwrap(),
            );
            let program: BpfProgram = filter.unwrap().try_into().unwrap();
            assert!(program.len() > PLAIN.len());
        }
    }
}
