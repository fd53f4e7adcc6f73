//! Values as the server's text: what `COPY … (FORMAT text)` and array literals take.

/// Appends `value` as a field of COPY's text format.
pub(crate) fn escape_copy(value: &str, out: &mut Vec<u8>) {
    for byte in value.bytes() {
        match byte {
            b'\\' => out.extend_from_slice(b"\\\\"),
            b'\t' => out.extend_from_slice(b"\\t"),
            b'\n' => out.extend_from_slice(b"\\n"),
            b'\r' => out.extend_from_slice(b"\\r"),
            byte => out.push(byte),
        }
    }
}

/// Appends `value` as an element of an array literal.
pub(crate) fn quote_element(value: &str, out: &mut String) {
    out.push('"');
    for character in value.chars() {
        if matches!(character, '"' | '\\') {
            out.push('\\');
        }
        out.push(character);
    }
    out.push('"');
}

/// Appends a float that Rust printed; the shortest text that reads back the same.
pub(crate) fn float(printed: &str, out: &mut String) {
    out.push_str(match printed {
        "inf" => "Infinity",
        "-inf" => "-Infinity",
        other => other,
    });
}

pub(crate) fn hex(bytes: &[u8], out: &mut String) {
    out.push_str("\\x");
    push_hex(bytes, out);
}

fn push_hex(bytes: &[u8], out: &mut String) {
    for byte in bytes {
        for nibble in [byte >> 4, byte & 15] {
            out.push(char::from_digit(u32::from(nibble), 16).unwrap_or('0'));
        }
    }
}

pub(crate) fn uuid(bytes: &[u8], out: &mut String) {
    for (index, byte) in bytes.iter().enumerate() {
        if matches!(index, 4 | 6 | 8 | 10) {
            out.push('-');
        }
        push_hex(&[*byte], out);
    }
}

/// The bytes of a uuid's text in any of the forms that the server reads: digits in either case, with
/// hyphens behind any four of them, with or without braces around all.
pub(crate) fn uuid_bytes(text: &str) -> Option<[u8; 16]> {
    let text = text.trim_ascii();
    let inner = text.strip_prefix('{').map_or(Some(text), |inner| inner.strip_suffix('}'))?;
    let mut digits = inner.bytes();
    let mut bytes = [0; 16];
    for (index, byte) in bytes.iter_mut().enumerate() {
        let mut rest = digits.clone();
        if index > 0 && index % 2 == 0 && rest.next() == Some(b'-') {
            digits = rest;
        }
        for _ in 0..2 {
            let digit = char::from(digits.next()?).to_digit(16)?;
            *byte = *byte << 4 | u8::try_from(digit).ok()?;
        }
    }
    digits.next().is_none().then_some(bytes)
}

/// Days since 1970.
pub(crate) fn date(days: i32, out: &mut String) {
    match days {
        i32::MAX => out.push_str("infinity"),
        i32::MIN => out.push_str("-infinity"),
        _ => {
            let before_christ = push_date(i64::from(days), out);
            out.push_str(if before_christ { " BC" } else { "" });
        }
    }
}

/// Microseconds since midnight.
pub(crate) fn time(micros: i64, out: &mut String) {
    let (seconds, fraction) = (micros.div_euclid(1_000_000), micros.rem_euclid(1_000_000));
    let (hours, minutes) = (seconds / 3600, seconds / 60 % 60);
    *out += &format!("{hours:02}:{minutes:02}:{:02}.{fraction:06}", seconds % 60);
}

/// Microseconds since 1970.
pub(crate) fn instant(micros: i64, zoned: bool, out: &mut String) {
    match micros {
        i64::MAX => out.push_str("infinity"),
        i64::MIN => out.push_str("-infinity"),
        _ => {
            const DAY: i64 = 86_400_000_000;
            let before_christ = push_date(micros.div_euclid(DAY), out);
            out.push(' ');
            time(micros.rem_euclid(DAY), out);
            out.push_str(if zoned { "+00" } else { "" });
            out.push_str(if before_christ { " BC" } else { "" });
        }
    }
}

/// Appends the date of the Gregorian calendar; true where its year counts before Christ.
fn push_date(days: i64, out: &mut String) -> bool {
    // Eras of 400 years, of years that begin in March, so that the leap day comes last.
    const ERA: i64 = 146_097;
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(ERA), days.rem_euclid(ERA));
    let year_of_era = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day_of_year = day - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted + 2) / 5 + 1;
    let month = if shifted < 10 { shifted + 3 } else { shifted - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    let before_christ = year <= 0;
    let year = if before_christ { 1 - year } else { year };
    *out += &format!("{year:04}-{month:02}-{day:02}");
    before_christ
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text_of(write: impl FnOnce(&mut String)) -> String {
        let mut out = String::new();
        write(&mut out);
        out
    }

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01"),
            (-1, "1969-12-31"),
            (11_016, "2000-02-29"),
            (10_957, "2000-01-01"),
            (-719_162, "0001-01-01"),
            (-719_163, "0001-12-31 BC"),
            (2_145_042_905, "5874897-12-31"),
            (i32::MAX, "infinity"),
            (i32::MIN, "-infinity"),
        ];
        for (days, expected) in cases {
            assert_eq!(text_of(|out| date(days, out)), expected, "{days}");
        }
    }

    #[test]
    fn instants_carry_zone_and_era() {
        assert_eq!(text_of(|out| instant(0, false, out)), "1970-01-01 00:00:00.000000");
        assert_eq!(text_of(|out| instant(-1, true, out)), "1969-12-31 23:59:59.999999+00");
        let year_one = -719_163 * 86_400_000_000;
        assert_eq!(text_of(|out| instant(year_one, true, out)), "0001-12-31 00:00:00.000000+00 BC");
        assert_eq!(text_of(|out| instant(i64::MAX, true, out)), "infinity");
        assert_eq!(text_of(|out| time(86_400_000_000, out)), "24:00:00.000000");
    }

    #[test]
    fn uuids_are_read_in_all_forms() {
        let id: [u8; 16] = std::array::from_fn(|index| index as u8 * 17);
        let good = [
            "00112233-4455-6677-8899-aabbccddeeff",
            "{00112233-4455-6677-8899-AABBCCDDEEFF}",
            "00112233445566778899aabbccddeeff",
            " 0011-2233-4455-6677-8899-aabb-ccdd-eeff",
        ];
        for text in good {
            assert_eq!(uuid_bytes(text), Some(id), "{text}");
        }
        for text in [
            "",
            "{",
            "x",
            "00112233-4455-6677-8899-aabbccddeef",
            "{00112233445566778899aabbccddeeff",
            "00112233445566778899aabbccddeeff0",
            "001-12233445566778899aabbccddeeff",
            "+0112233445566778899aabbccddeeff",
        ] {
            assert_eq!(uuid_bytes(text), None, "{text}");
        }
    }

    #[test]
    fn texts_are_quoted() {
        let mut bytes = Vec::new();
        escape_copy("a\tb\\c\nd\r\\N", &mut bytes);
        assert_eq!(bytes, b"a\\tb\\\\c\\nd\\r\\\\N");
        assert_eq!(text_of(|out| quote_element("a\"b\\", out)), "\"a\\\"b\\\\\"");
        assert_eq!(text_of(|out| hex(&[1, 0xfe], out)), "\\x01fe");
        assert_eq!(text_of(|out| float("inf", out)), "Infinity");
        let id: Vec<u8> = (0..16).collect();
        assert_eq!(text_of(|out| uuid(&id, out)), "00010203-0405-0607-0809-0a0b0c0d0e0f");
    }
}
