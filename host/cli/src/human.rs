//! Sizes, counts, rates and durations as people read them.

use std::time::Duration;

/// The largest unit first; sizes are powers of 1024.
const UNITS: [(&str, u64); 4] =
    [("TiB", 1 << 40), ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)];

/// `1,234,567`.
pub(crate) fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

/// `1 record`, `2 records`.
pub(crate) fn plural(number: u64, noun: &str) -> String {
    let ending = if number == 1 { "" } else { "s" };
    format!("{} {noun}{ending}", count(number))
}

/// `512 B`, `1.5 MiB`.
pub(crate) fn bytes(size: u64) -> String {
    match UNITS.iter().find(|(_, factor)| size >= *factor) {
        Some((unit, factor)) => format!("{:.1} {unit}", size as f64 / *factor as f64),
        None => format!("{size} B"),
    }
}

/// `840 ms`, `3.2 s`, `2 min 5 s`, `1 h 2 min`.
pub(crate) fn duration(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0 => format!("{} ms", time.as_millis()),
        1..60 => format!("{:.1} s", time.as_secs_f64()),
        60..3600 => format!("{} min {} s", seconds / 60, seconds % 60),
        _ => format!("{} h {} min", seconds / 3600, seconds % 3600 / 60),
    }
}

/// `number` a second; at least a millisecond is taken, so that short runs show no nonsense.
pub(crate) fn per_second(number: u64, time: Duration) -> u64 {
    (number as f64 / time.as_secs_f64().max(0.001)) as u64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn counts_have_separators() {
        let table = [(0, "0"), (999, "999"), (1000, "1,000"), (1_234_567, "1,234,567")];
        for (number, text) in table {
            assert_eq!(count(number), text);
        }
        assert_eq!(plural(1, "task"), "1 task");
        assert_eq!(plural(1200, "task"), "1,200 tasks");
    }

    #[test]
    fn sizes_are_powers_of_1024() {
        let table = [(0, "0 B"), (1023, "1023 B"), (1024, "1.0 KiB"), (1_572_864, "1.5 MiB")];
        for (size, text) in table {
            assert_eq!(bytes(size), text);
        }
    }

    #[test]
    fn durations_have_two_units_at_most() {
        let table = [
            (0, "0 ms"),
            (840, "840 ms"),
            (3_210, "3.2 s"),
            (125_000, "2 min 5 s"),
            (3_720_000, "1 h 2 min"),
        ];
        for (milliseconds, text) in table {
            assert_eq!(duration(Duration::from_millis(milliseconds)), text);
        }
    }
}
