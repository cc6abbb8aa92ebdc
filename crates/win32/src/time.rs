//! Time: 100 nanoseconds since 1601, and as a calendar says it.

use std::time::Duration;

use abi::{Error, pointer};
use sys::clock;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

use crate::last_error::succeeds;

/// From 1601 to 1970, in 100 nanoseconds.
const TO_1970: i64 = 116_444_736_000_000_000;
const PER_SECOND: i64 = 10_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// SYSTEMTIME.
#[derive(Debug, Clone, Copy, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout)]
#[repr(C)]
struct SystemTime {
    year: u16,
    month: u16,
    day_of_week: u16,
    day: u16,
    hour: u16,
    minute: u16,
    second: u16,
    milliseconds: u16,
}

/// FILETIME, as one number.
fn now() -> i64 {
    i64::try_from(clock::realtime().as_nanos() / 100).unwrap_or(i64::MAX).saturating_add(TO_1970)
}

/// What is added to UTC here at this moment, in 100 nanoseconds.
fn bias() -> i64 {
    let now = libc::time_t::try_from(clock::realtime().as_secs()).unwrap_or(0);
    let mut local = std::mem::MaybeUninit::<libc::tm>::uninit();
    // SAFETY: both live as long as the call.
    let known = unsafe { libc::localtime_r(&raw const now, local.as_mut_ptr()) };
    if known.is_null() {
        return 0;
    }
    // SAFETY: filled in by the successful call.
    unsafe { local.assume_init() }.tm_gmtoff * PER_SECOND
}

impl SystemTime {
    /// # Errors
    /// ERROR_INVALID_PARAMETER: beyond the calendar, which ends in the year 30827.
    fn of(time: i64) -> Result<Self, Error> {
        if !(0..0x7FFF_35F4_F06C_58F0).contains(&time) {
            return Err(Error::INVALID_PARAMETER);
        }
        let (seconds, rest) = (time / PER_SECOND, time % PER_SECOND);
        let (days, second) = (seconds / SECONDS_PER_DAY, seconds % SECONDS_PER_DAY);
        let (year, month, day) = date(days);
        Ok(Self {
            year: year as u16,
            month: month as u16,
            // 1601 began on a Monday
            day_of_week: ((days + 1) % 7) as u16,
            day: day as u16,
            hour: (second / 3600) as u16,
            minute: (second / 60 % 60) as u16,
            second: (second % 60) as u16,
            milliseconds: (rest / 10_000) as u16,
        })
    }

    fn time(&self) -> Result<i64, Error> {
        let in_range = (1601..=30827).contains(&self.year)
            && (1..=12).contains(&self.month)
            && self.hour < 24
            && self.minute < 60
            && self.second < 60
            && self.milliseconds < 1000;
        if !in_range {
            return Err(Error::INVALID_PARAMETER);
        }
        let days = days(self.year.into(), self.month.into(), self.day.into());
        // a day that the month does not have
        if date(days) != (self.year.into(), self.month.into(), self.day.into()) {
            return Err(Error::INVALID_PARAMETER);
        }
        let [hour, minute, second] = [self.hour, self.minute, self.second].map(i64::from);
        let seconds = days * SECONDS_PER_DAY + hour * 3600 + minute * 60 + second;
        Ok(seconds * PER_SECOND + i64::from(self.milliseconds) * 10_000)
    }
}

/// Days from the first of March of the year 1600, whose years end with the leap day, to the first of January 1601.
const SHIFT: i64 = 306;
const DAYS_PER_400_YEARS: i64 = 146_097;

/// The date of a day since 1601-01-01.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + SHIFT;
    let era = days.div_euclid(DAYS_PER_400_YEARS);
    let day = days.rem_euclid(DAYS_PER_400_YEARS);
    let year = (day - day / 1460 + day / 36_524 - day / 146_096) / 365;
    let in_year = day - (365 * year + year / 4 - year / 100);
    let month = (5 * in_year + 2) / 153;
    let in_month = in_year - (153 * month + 2) / 5 + 1;
    let (month, next) = if month < 10 { (month + 3, 0) } else { (month - 9, 1) };
    (1600 + era * 400 + year + next, month, in_month)
}

/// The day since 1601-01-01 of a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year } - 1600;
    let era = year.div_euclid(400);
    let in_era = year.rem_euclid(400);
    let in_year = (153 * (if month > 2 { month - 3 } else { month + 9 }) + 2) / 5 + day - 1;
    era * DAYS_PER_400_YEARS + in_era * 365 + in_era / 4 - in_era / 100 + in_year - SHIFT
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetSystemTimeAsFileTime(time: *mut i64) {
    // SAFETY: the program wants the time there.
    let _ = unsafe { pointer::write(time, &now()) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetSystemTimePreciseAsFileTime(time: *mut i64) {
    // SAFETY: as of our caller.
    unsafe { GetSystemTimeAsFileTime(time) };
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetSystemTime(time: *mut SystemTime) {
    let _ = SystemTime::of(now()).and_then(|calendar| {
        // SAFETY: the program wants the time there.
        unsafe { pointer::write(time, &calendar) }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn GetLocalTime(time: *mut SystemTime) {
    let _ = SystemTime::of(now() + bias()).and_then(|calendar| {
        // SAFETY: the program wants the time there.
        unsafe { pointer::write(time, &calendar) }
    });
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FileTimeToSystemTime(time: *const i64, calendar: *mut SystemTime) -> i32 {
    succeeds(|| {
        let time = SystemTime::of(pointer::read(time)?)?;
        // SAFETY: the program wants the time there.
        unsafe { pointer::write(calendar, &time) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn SystemTimeToFileTime(calendar: *const SystemTime, time: *mut i64) -> i32 {
    succeeds(|| {
        let calendar = pointer::read(calendar)?.time()?;
        // SAFETY: the program wants the time there.
        unsafe { pointer::write(time, &calendar) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn FileTimeToLocalFileTime(time: *const i64, local: *mut i64) -> i32 {
    succeeds(|| {
        let time = pointer::read(time)?.saturating_add(bias());
        // SAFETY: the program wants the time there.
        unsafe { pointer::write(local, &time) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn LocalFileTimeToFileTime(local: *const i64, time: *mut i64) -> i32 {
    succeeds(|| {
        let local = pointer::read(local)?.saturating_sub(bias());
        // SAFETY: the program wants the time there.
        unsafe { pointer::write(time, &local) }
    })
}

/// Since when the machine runs.
fn uptime() -> Duration {
    let now = rustix::time::clock_gettime(rustix::time::ClockId::Boottime);
    Duration::new(now.tv_sec as u64, now.tv_nsec as u32)
}

#[unsafe(no_mangle)]
extern "C" fn GetTickCount() -> u32 {
    GetTickCount64() as u32
}

#[unsafe(no_mangle)]
extern "C" fn GetTickCount64() -> u64 {
    uptime().as_millis() as u64
}

#[unsafe(no_mangle)]
unsafe extern "C" fn QueryPerformanceCounter(count: *mut i64) -> i32 {
    succeeds(|| {
        let now = (clock::monotonic().as_nanos() / 100) as i64;
        // SAFETY: the program wants the count there.
        unsafe { pointer::write(count, &now) }
    })
}

#[unsafe(no_mangle)]
unsafe extern "C" fn QueryPerformanceFrequency(frequency: *mut i64) -> i32 {
    // SAFETY: the program wants the frequency there.
    succeeds(|| unsafe { pointer::write(frequency, &PER_SECOND) })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let at = |year, month, day, day_of_week| SystemTime {
            year,
            month,
            day_of_week,
            day,
            hour: 0,
            minute: 0,
            second: 0,
            milliseconds: 0,
        };
        assert_eq!(SystemTime::of(0), Ok(at(1601, 1, 1, 1)));
        assert_eq!(SystemTime::of(TO_1970), Ok(at(1970, 1, 1, 4)));
        let day = |days: i64| SystemTime::of(days * SECONDS_PER_DAY * PER_SECOND).unwrap();
        assert_eq!(day(days(2000, 2, 29)), at(2000, 2, 29, 2));
        assert_eq!(day(days(2100, 3, 1)), at(2100, 3, 1, 1));
        let mut known = day(0);
        for days in 0..200_000 {
            let date = day(days);
            assert_eq!(date.time(), Ok(days * SECONDS_PER_DAY * PER_SECOND));
            let next = date.day == known.day + 1 || date.day == 1;
            assert!(days == 0 || next && date.day_of_week == (known.day_of_week + 1) % 7);
            known = date;
        }
    }

    #[test]
    fn what_is_no_date_is_refused() {
        assert_eq!(SystemTime::of(-1), Err(Error::INVALID_PARAMETER));
        let mut date = SystemTime::of(TO_1970).unwrap();
        date.month = 2;
        date.day = 30;
        assert_eq!(date.time(), Err(Error::INVALID_PARAMETER));
        date.month = 13;
        assert_eq!(date.time(), Err(Error::INVALID_PARAMETER));
    }

    #[test]
    fn a_time_has_its_parts() {
        let time = SystemTime::of(TO_1970 + (3600 * 23 + 59 * 60 + 58) * PER_SECOND + 1_230_000).unwrap();
        assert_eq!((time.hour, time.minute, time.second, time.milliseconds), (23, 59, 58, 123));
    }
}
