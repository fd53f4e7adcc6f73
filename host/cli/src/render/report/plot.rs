//! Plots as inline SVG: rates over time, and bars of how a time was spent.

use std::fmt::Write;

use crate::kept::KeptSpent;
use crate::sampler::Sample;

const WIDTH: f64 = 900.0;
const HEIGHT: f64 = 190.0;
/// Room for the labels of the axes.
const LEFT: f64 = 70.0;
const BOTTOM: f64 = 22.0;
const TOP: f64 = 8.0;

/// Rates of reading and writing between samples, in units of `unit`, over the seconds of the attempt.
pub(super) fn rates(samples: &[Sample], of: fn(&Sample) -> [u64; 2], unit: f64) -> String {
    let points = points(samples, of, unit);
    let Some(last) = points.last() else { return String::new() };
    let seconds = last.0.max(0.001);
    let most =
        points.iter().flat_map(|(_, rates)| rates).fold(0.0_f64, |most, rate| most.max(*rate));
    let top = ceiling(most);
    let x = |at: f64| LEFT + at / seconds * (WIDTH - LEFT - 4.0);
    let y = |rate: f64| HEIGHT - BOTTOM - rate / top * (HEIGHT - BOTTOM - TOP);
    let mut svg = format!(
        "<svg viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" aria-label=\"at most {} a second\">",
        number(most)
    );
    for step in 0..=4 {
        let (rate, at) = (top * f64::from(step) / 4.0, seconds * f64::from(step) / 4.0);
        let line = y(rate);
        write!(
            svg,
            "<line class=\"grid\" x1=\"{LEFT}\" x2=\"{WIDTH}\" y1=\"{line:.1}\" y2=\"{line:.1}\"/>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>\
             <text x=\"{:.1}\" y=\"{:.1}\" text-anchor=\"{}\">{}</text>",
            LEFT - 8.0,
            line + 4.0,
            number(rate),
            x(at),
            HEIGHT - 5.0,
            match step {
                0 => "start",
                4 => "end",
                _ => "middle",
            },
            time(at)
        )
        .ok();
    }
    for (index, class) in ["read", "write"].into_iter().enumerate() {
        // A rate holds from one sample to the next.
        let mut path = String::new();
        let mut before = 0.0;
        for (at, rates) in &points {
            let height = y(rates[index]);
            let word = if path.is_empty() { "M" } else { "L" };
            write!(path, "{word}{:.1} {height:.1}L{:.1} {height:.1}", x(before), x(*at)).ok();
            before = *at;
        }
        write!(svg, "<path class=\"{class}\" d=\"{path}\"/>").ok();
    }
    svg + "</svg>"
}

/// The end of each pause between samples, in seconds, and the rates within it.
fn points(samples: &[Sample], of: fn(&Sample) -> [u64; 2], unit: f64) -> Vec<(f64, [f64; 2])> {
    let mut before = Sample::default();
    let mut points = Vec::with_capacity(samples.len());
    for sample in samples {
        let passed = sample.at_ms.saturating_sub(before.at_ms) as f64 / 1000.0;
        if passed <= 0.0 {
            continue;
        }
        let (now, then) = (of(sample), of(&before));
        // A task that is tried again takes back what it had counted.
        let rate = |index: usize| now[index].saturating_sub(then[index]) as f64 / passed / unit;
        points.push((sample.at_ms as f64 / 1000.0, [rate(0), rate(1)]));
        before = *sample;
    }
    points
}

/// The next number of the form 1, 2, 2.5, 5 times a power of ten.
fn ceiling(most: f64) -> f64 {
    if most <= 0.0 {
        return 1.0;
    }
    let power = 10_f64.powf(most.log10().floor());
    let steps = [1.0, 2.0, 2.5, 5.0, 10.0];
    steps.into_iter().map(|step| step * power).find(|top| *top >= most * 0.999).unwrap_or(most)
}

fn number(value: f64) -> String {
    let (value, unit) = match value {
        0.0 => return "0".into(),
        1e9.. => (value / 1e9, "G"),
        1e6.. => (value / 1e6, "M"),
        1e3.. => (value / 1e3, "k"),
        _ => (value, ""),
    };
    let text = format!("{value:.2}");
    format!("{}{unit}", text.trim_end_matches('0').trim_end_matches('.'))
}

fn time(seconds: f64) -> String {
    match seconds {
        0.0 => "0".into(),
        0.0..10.0 => format!("{seconds:.1} s"),
        10.0..120.0 => format!("{seconds:.0} s"),
        120.0..7200.0 => format!("{:.1} min", seconds / 60.0),
        _ => format!("{:.1} h", seconds / 3600.0),
    }
}

/// Two bars, of the reading half and of the writing half, each as long as `spent` took beside `longest_ms`.
pub(super) fn bars(spent: &KeptSpent, longest_ms: u64) -> String {
    const LONG: f64 = 300.0;
    let halves = [
        [
            ("reading", spent.reading_ms),
            ("processing", spent.processing_ms),
            ("waiting", spent.waiting_throttle_ms + spent.waiting_writer_ms),
        ],
        [
            ("writing", spent.writing_ms),
            ("committing", spent.committing_ms),
            ("waiting", spent.waiting_reader_ms),
        ],
    ];
    let mut svg = format!(
        "<svg viewBox=\"0 0 {LONG} 20\" preserveAspectRatio=\"none\" style=\"height:20px\" aria-hidden=\"true\">"
    );
    for (half, parts) in halves.into_iter().enumerate() {
        let mut x = 0.0;
        for (class, milliseconds) in parts {
            let width = milliseconds as f64 / longest_ms.max(1) as f64 * LONG;
            let width = width.min(LONG - x);
            if width > 0.0 {
                let y = 1 + half * 10;
                write!(svg, "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y}\" width=\"{width:.1}\" height=\"8\"/>")
                    .ok();
            }
            x += width;
        }
    }
    svg + "</svg>"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sample(at_ms: u64, records_read: u64, records_written: u64) -> Sample {
        Sample { at_ms, records_read, records_written, ..Sample::default() }
    }

    const RECORDS: fn(&Sample) -> [u64; 2] = |sample| [sample.records_read, sample.records_written];

    #[test]
    fn rates_are_those_between_samples() {
        let samples =
            [sample(0, 0, 0), sample(500, 100, 50), sample(1500, 80, 150), sample(1500, 90, 150)];
        let expected = [(0.5, [200.0, 100.0]), (1.5, [0.0, 100.0])];
        assert_eq!(points(&samples, RECORDS, 1.0), expected);
        let svg = rates(&samples, RECORDS, 1.0);
        assert!(svg.contains("at most 200 a second") && svg.contains("1.5 s"), "{svg}");
        assert_eq!(rates(&samples[..1], RECORDS, 1.0), "");
    }

    #[test]
    fn axes_end_at_round_numbers() {
        for (most, top) in
            [(0.0, 1.0), (1.0, 1.0), (1.1, 2.0), (230.0, 250.0), (4999.0, 5000.0), (7e6, 1e7)]
        {
            assert!((ceiling(most) - top).abs() < top * 1e-9, "{most}: {}", ceiling(most));
        }
        assert_eq!(
            [number(0.0), number(1250.0), number(2e6), number(0.5)],
            ["0", "1.25k", "2M", "0.5"]
        );
    }
}
