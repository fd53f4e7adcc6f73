//! Timestamps of writers in other time zones: the local time comes back.

use crate::zone::{BASE, Zone};

/// Seconds since 1970, in UTC.
fn moment(text: &str) -> i64 {
    text.parse::<jiff::Timestamp>().unwrap().as_second()
}

#[test]
fn local_times_come_back() {
    // The local time, as if it were of UTC; the moment that it is; and the beginning of 2015 there.
    let cases = [
        ("UTC", "2020-06-01T00:00:00Z", "2020-06-01T00:00:00Z", "2015-01-01T00:00:00Z"),
        ("Asia/Shanghai", "2020-06-01T00:00:00Z", "2020-05-31T16:00:00Z", "2014-12-31T16:00:00Z"),
        // China had summer time in these years.
        ("Asia/Shanghai", "1988-07-01T12:00:00Z", "1988-07-01T03:00:00Z", "2014-12-31T16:00:00Z"),
        (
            "America/Los_Angeles",
            "2020-07-01T08:00:00Z",
            "2020-07-01T15:00:00Z",
            "2015-01-01T08:00:00Z",
        ),
        (
            "America/Los_Angeles",
            "2020-12-01T08:00:00Z",
            "2020-12-01T16:00:00Z",
            "2015-01-01T08:00:00Z",
        ),
        ("GMT+05:30", "1960-01-01T00:00:00Z", "1959-12-31T18:30:00Z", "2014-12-31T18:30:00Z"),
        ("GMT-8", "2020-01-01T00:00:00Z", "2020-01-01T08:00:00Z", "2015-01-01T08:00:00Z"),
    ];
    for (zone, local, at, base) in cases {
        let zone = Zone::parse(zone).unwrap();
        assert_eq!(zone.local(moment(at) - moment(base), 0), Some(moment(local)), "{zone:?}");
    }
}

#[test]
fn seconds_before_1970_are_rounded_to_zero() {
    let zone = Zone::parse("").unwrap();
    assert_eq!(zone.local(-5 - BASE, 0), Some(-5));
    assert_eq!(zone.local(-5 - BASE, 500_000_000), Some(-6));
    assert_eq!(zone.local(-5 - BASE, 999_999), Some(-5));
    assert_eq!(zone.local(i64::MAX, 0), None);
}

#[test]
fn zones_that_are_none_are_named() {
    let error = Zone::parse("Mars/Olympus").unwrap_err().to_string();
    assert!(error.contains("\"Mars/Olympus\""), "{error}");
    for name in ["GMT+x", "GMT+99:00", "+"] {
        assert!(Zone::parse(name).is_err(), "{name}");
    }
}
