//! The clocks: time since boot for every deadline, the wall clock for what people read.

use nix::time::{ClockId, clock_gettime};
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

/// Time since boot, suspend included. No step of the wall clock changes it.
pub fn since_boot() -> Duration {
    clock_gettime(ClockId::CLOCK_BOOTTIME).expect("every Linux since 2.6.39 has this clock").into()
}

/// The clock in which systemd wants to be told when a reload began: without the time of suspends.
pub fn monotonic() -> Duration {
    clock_gettime(ClockId::CLOCK_MONOTONIC).expect("every Linux has this clock").into()
}

/// The random id of this boot: two moments of [`since_boot`] compare only under the same id.
pub fn boot_id() -> io::Result<String> {
    Ok(std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim_end().to_owned())
}

/// Time since 1970-01-01 UTC; zero if the clock is set before that.
pub fn wall() -> Duration {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default()
}

/// Seconds since 1970-01-01 UTC as RFC 3339 writes them: `2026-03-31T12:00:00Z`.
pub fn utc(seconds: u64) -> String {
    let (days, second) = (seconds / 86_400, seconds % 86_400);
    // Days are counted from a March 1st, so that the leap day is a year's last (proleptic Gregorian calendar).
    let day = days + 719_468;
    let (era, of_era) = (day / 146_097, day % 146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let date = of_year - (153 * month + 2) / 5 + 1;
    let (month, carry) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    let year = year + era * 400 + carry;
    format!("{year:04}-{month:02}-{date:02}T{:02}:{:02}:{:02}Z", second / 3600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_clock_since_boot_runs_with_the_uptime_and_never_back() {
        let uptime = std::fs::read_to_string("/proc/uptime").unwrap();
        let uptime: f64 = uptime.split(' ').next().unwrap().parse().unwrap();
        let (first, second) = (since_boot(), since_boot());
        assert!(first.as_secs_f64() >= uptime && second >= first, "{uptime} {first:?} {second:?}");
    }

    #[test]
    fn moments_are_written_as_rfc_3339_has_them() {
        let written = [
            (0, "1970-01-01T00:00:00Z"),
            (951_827_696, "2000-02-29T12:34:56Z"),
            (1_798_761_599, "2026-12-31T23:59:59Z"),
            (4_107_542_400, "2100-03-01T00:00:00Z"),
        ];
        for (seconds, text) in written {
            assert_eq!(utc(seconds), text);
        }
    }

    #[test]
    fn the_boot_id_is_a_uuid() {
        let id = boot_id().unwrap();
        assert!(id.len() == 36 && id.bytes().all(|b| b == b'-' || b.is_ascii_hexdigit()), "{id}");
    }
}
