//! The time, in units of 100 ns.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use rustix::time::{ClockId, clock_gettime};

use crate::edge::Ptr;
use crate::nt::Boolean;

/// From 1601 to 1970.
const UNIX: i64 = 116_444_736_000_000_000;
/// One tick of the clock.
const TICK: u64 = 156_250;
const PER_SECOND: i64 = 10_000_000;

/// `TIME_FIELDS`
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[repr(C)]
pub struct TimeFields {
    pub year: i16,
    pub month: i16,
    pub day: i16,
    pub hour: i16,
    pub minute: i16,
    pub second: i16,
    pub milliseconds: i16,
    pub weekday: i16,
}

/// Now, since 1601.
pub fn system() -> i64 {
    of(SystemTime::now())
}

/// A time of the file system, since 1601.
pub fn of(time: SystemTime) -> i64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
    UNIX + (since.as_nanos() / 100) as i64
}

fn since_boot() -> u64 {
    let now = clock_gettime(ClockId::Boottime);
    now.tv_sec as u64 * PER_SECOND as u64 + now.tv_nsec as u64 / 100
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQuerySystemTime(time: Ptr<i64>) {
    time.write(system());
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQuerySystemTimePrecise(time: Ptr<i64>) {
    time.write(system());
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQueryTickCount(count: Ptr<i64>) {
    count.write((since_boot() / TICK) as i64);
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQueryTimeIncrement() -> u32 {
    TICK as u32
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQueryInterruptTime() -> u64 {
    since_boot()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQueryInterruptTimePrecise(counter: Ptr<u64>) -> u64 {
    counter.write_some(since_boot());
    since_boot()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQueryUnbiasedInterruptTime() -> u64 {
    since_boot()
}

#[unsafe(no_mangle)]
pub extern "C" fn KeQueryPerformanceCounter(frequency: Ptr<i64>) -> i64 {
    frequency.write_some(PER_SECOND);
    since_boot() as i64
}

#[unsafe(no_mangle)]
pub extern "C" fn ExSystemTimeToLocalTime(system: Ptr<i64>, local: Ptr<i64>) {
    local.write(system.read());
}

#[unsafe(no_mangle)]
pub extern "C" fn ExLocalTimeToSystemTime(local: Ptr<i64>, system: Ptr<i64>) {
    system.write(local.read());
}

/// Days since 1601-01-01, a Monday, to a date: the calendar repeats every 400 years.
fn date(days: i64) -> (i16, i16, i16) {
    // counted from 1600-03-01, so that the leap day is the last of its year
    let day = days + 306;
    let era = day.div_euclid(146_097);
    let of_era = day.rem_euclid(146_097);
    let year = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year + year / 4 - year / 100);
    let month = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    let year = 1600 + era * 400 + year + i64::from(month <= 2);
    (year as i16, month as i16, day as i16)
}

fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year } - 1600;
    let month = if month <= 2 { month + 9 } else { month - 3 };
    365 * year + year.div_euclid(4) - year.div_euclid(100) + year.div_euclid(400) + (153 * month + 2) / 5 + day
        - 1
        - 306
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlTimeToTimeFields(time: Ptr<i64>, fields: Ptr<TimeFields>) {
    let time = time.read();
    let (day, rest) = (time.div_euclid(86_400 * PER_SECOND), time.rem_euclid(86_400 * PER_SECOND));
    let (year, month, of_month) = date(day);
    let seconds = rest / PER_SECOND;
    fields.write(TimeFields {
        year,
        month,
        day: of_month,
        hour: (seconds / 3600) as i16,
        minute: (seconds / 60 % 60) as i16,
        second: (seconds % 60) as i16,
        milliseconds: (rest / 10_000 % 1000) as i16,
        weekday: ((day + 1) % 7) as i16,
    });
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlTimeFieldsToTime(fields: Ptr<TimeFields>, time: Ptr<i64>) -> Boolean {
    let f = fields.read();
    let in_range = |value: i16, range: std::ops::RangeInclusive<i16>| range.contains(&value);
    let valid = in_range(f.year, 1601..=30_827)
        && in_range(f.month, 1..=12)
        && in_range(f.day, 1..=31)
        && in_range(f.hour, 0..=23)
        && in_range(f.minute, 0..=59)
        && in_range(f.second, 0..=59)
        && in_range(f.milliseconds, 0..=999);
    let day = days(f.year.into(), f.month.into(), f.day.into());
    if !valid || date(day) != (f.year, f.month, f.day) {
        return 0;
    }
    let seconds = day * 86_400 + i64::from(f.hour) * 3600 + i64::from(f.minute) * 60 + i64::from(f.second);
    time.write(seconds * PER_SECOND + i64::from(f.milliseconds) * 10_000);
    1
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlTimeToSecondsSince1970(time: Ptr<i64>, seconds: Ptr<u32>) -> Boolean {
    let Ok(since) = u32::try_from((time.read() - UNIX).div_euclid(PER_SECOND)) else { return 0 };
    seconds.write(since);
    1
}

#[unsafe(no_mangle)]
pub extern "C" fn RtlSecondsSince1970ToTime(seconds: u32, time: Ptr<i64>) {
    time.write(UNIX + i64::from(seconds) * PER_SECOND);
}
